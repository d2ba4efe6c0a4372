/** Every limit of the SIP front end, in one place. Units are in the names. */

/** A session description longer than this is refused unread; the longest of the 924 collected for tests has 10,693. */
export const SDP_BYTES_MAX = 16_384;
export const SDP_MEDIA_LINES_MAX = 32;
export const SDP_FORMATS_PER_LINE_MAX = 128;
/** Attributes of one m-line that are read; a browser offers four, a session border controller ten. */
export const CRYPTO_LINES_MAX = 16;
export const CRYPTO_CHARS_MAX = 512;
export const PTIME_MS_MIN = 10;
export const PTIME_MS_MAX = 60;

/** Any header value we read context from or write a result into. */
export const HEADER_VALUE_CHARS_MAX = 1024;
/** Decoded octets of User-to-User; RFC 7433 names no maximum, ISDN interworking carries 128. */
export const UUI_OCTETS_MAX = 512;
export const URI_CHARS_MAX = 1024;
export const CONTEXT_VALUE_CHARS_MAX = 128;

/** Signatures remembered inside their window; when all are taken, signed calls are refused, not let through. */
export const REPLAY_SIGNATURES_MAX = 50_000;

/** Dialogs of all profiles together; a profile sets its own below this. */
export const DIALOGS_MAX = 2_000;
/** From the INVITE to `accept` or `reject` of the application. */
export const ANSWER_WAIT_MS = 30_000;
/** An ACK that must carry the answer to our late offer. */
export const LATE_ANSWER_WAIT_MS = 32_000;
/** What the application may take to move media on a re-INVITE or UPDATE. */
export const MEDIA_CHANGE_WAIT_MS = 5_000;
/** The application's decision on a REFER. */
export const TRANSFER_DECISION_WAIT_MS = 5_000;
/** A BYE whose answer does not come: the dialog counts as ended. */
export const BYE_WAIT_MS = 4_000;
/** A REFER, NOTIFY or re-INVITE of ours whose final answer does not come. Timer F of RFC 3261 is 32 s. */
export const REQUEST_WAIT_MS = 33_000;
/** After our CANCEL, for the 487. */
export const CANCEL_WAIT_MS = 5_000;
export const REDIRECTS_MAX = 3;
/** How often a re-INVITE of ours is tried again after 491. */
export const GLARE_RETRIES_MAX = 4;
/** Ours towards the SIP server: first connection and each one after a loss. */
export const RECONNECT_DELAY_MS_MAX = 2_000;
export const PING_INTERVAL_MS = 15_000;
/** The first connection; a start that waits longer tells nobody why. */
export const START_MS_MAX = 15_000;

export const PROFILE_BYTES_MAX = 65_536;
export const PROFILES_MAX = 64;
export const ADDRESSES_PER_PROFILE_MAX = 1_024;
export const TRANSFER_HOSTS_MAX = 256;
