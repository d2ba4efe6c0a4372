/*
 * Numbers that native code and TypeScript must agree on: native/call/engine.h, native/vault/vault.h,
 * native/addon/engine_box.cc. A test compares the layout of the event record with the addon's.
 */

/** `struct EngineEvent`: 32 bytes, little endian as the machine is. Order as `eventLayout()` of the addon says it. */
export const EVENT = {
  size: 32,
  kind: 0,
  code: 2,
  field: 3,
  leg: 4,
  request: 8,
  valueMs: 12,
  facts: 16,
  length: 0,
  luhnOk: 1,
  complete: 2,
  full: 3,
  dateValid: 4,
  cvcLength: 5,
  last4: 6,
  brands: 12,
} as const;

export const EVENT_KINDS = {
  1: 'answer',
  2: 'fieldKey',
  3: 'fieldEnded',
  4: 'fieldClosed',
  5: 'openKey',
  6: 'playEnded',
  7: 'legSilent',
  8: 'sourceLearned',
  9: 'relayedKey',
  10: 'maskChanged',
  11: 'keysSent',
} as const;
export type EventKind = (typeof EVENT_KINDS)[keyof typeof EVENT_KINDS];

/** `enum FieldKind`; the index is the number. */
export const FIELDS = ['', 'pan', 'expiry', 'cvc', 'postcode', 'startDate', 'issueNumber'] as const;
/** `enum Key`. */
export const KEYS = ['', 'digit', 'star', 'hash'] as const;
/** `enum FieldEnd`. */
export const FIELD_ENDS = ['', 'hash', 'full'] as const;
/** Codes of kPlayEnded. */
export const PLAY_ENDS = ['finished', 'bargedIn', 'stopped'] as const;
/** `enum ReadBackStyle`. */
export const READ_BACK_STYLES = ['', 'digits', 'lastFour', 'monthYear'] as const;
/** `enum DtmfMode`. */
export const DTMF_MODES = ['auto', 'event', 'inband'] as const;
/** `enum SrtpSuite`, by the names of RFC 4568 §6.2 and RFC 7714 §14.2, and the bytes of a master key with its salt. */
export const SRTP_SUITES = [
  { name: '', keyBytes: 0 },
  { name: 'AES_CM_128_HMAC_SHA1_80', keyBytes: 30 },
  { name: 'AES_CM_128_HMAC_SHA1_32', keyBytes: 30 },
  { name: 'AEAD_AES_128_GCM', keyBytes: 28 },
  { name: 'AEAD_AES_256_GCM', keyBytes: 44 },
] as const;
/** RFC 4733 event codes of the keys of a caller; A to D are no keys of ours. */
export const EVENT_KEYS = '0123456789*#';
/** RFC 4733 event codes of what may be sent; the index is the code. */
export const SENDABLE_KEYS = '0123456789*#ABCD';
/** `enum KeyMode`. */
export const KEY_MODES = ['event', 'inband'] as const;
/** `enum Codec`. */
export const CODECS: Readonly<Record<string, number>> = { PCMU: 0, PCMA: 8, G722: 9, OPUS: 96 };
/** `enum EngineFault`, in words. */
export const FAULTS = [
  '',
  'no free port pair',
  'no such leg',
  'no such call',
  'no payment on this leg',
  'the vault is full',
  'the command ring is full',
  'a limit is reached',
  'an argument that the engine does not take',
  'no telephone-event was agreed on this leg',
] as const;

/** Orders of `legOrder`. */
export const LEG_ORDERS = {
  closeLeg: 1,
  stopPlay: 2,
  beginPayment: 3,
  endPayment: 4,
  closeField: 5,
  wipeField: 6,
  closeKeys: 7,
  disarmMask: 8,
} as const;

/** `enum MaskFill`: what is heard instead of a key. */
export const MASK_FILLS = ['silence', 'tone', 'noise'] as const;
/** `enum MaskChange`, codes of kMaskChanged. */
export const MASK_CHANGES = ['open', 'armed', 'failed'] as const;
/** `enum ProofResult`: why a mask was not armed. */
export const PROOF_RESULTS = [
  'is not over',
  'is passed',
  'heard a key behind the mask',
  'measured a tone behind the mask',
  'found other sound altered by the mask',
  'cannot hear keys before the mask',
] as const;

/** Numbers of a read-back voice: digits 0-9, months 1-12, years 2000-2099, a pause. */
export const VOICE_LENGTH = 123;
/** Numbers of `readStats`, in the order of the addon; `src/worker/stats.ts` names them. */
export const STATS_LENGTH = 47;
