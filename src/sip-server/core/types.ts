import type { Timer } from '../../lib/clock.ts';
import type { DialogState } from '../dialog.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { SessionTerms } from '../session-timer.ts';
import type { IctInput, IctState } from '../transaction/ict.ts';
import type { IstInput, IstState } from '../transaction/ist.ts';
import type { NictInput, NictState } from '../transaction/nict.ts';
import type { NistInput, NistState } from '../transaction/nist.ts';
import type { Transaction } from '../transaction/transaction.ts';
import type { Endpoint, Flow } from '../transport/flow.ts';
import type { Application } from '../wire/application.ts';
import type { Way } from './locate.ts';

/** A dialog with its owner and its timers. */
export interface Dialog {
  state: DialogState;
  /** The application that answers for it; undefined when its connection is gone. */
  owner: Application | undefined;
  /** The way its last message came. */
  flow: Flow;
  /** A 2xx of ours that waits for its ACK. */
  unacked: { cseq: number; transactionId: string; stop: () => void } | undefined;
  /** ACKs of ours by CSeq: a 2xx that comes again gets the same one. */
  acks: { cseq: number; text: string; flow: Flow } | undefined;
  /** CSeq of our INVITE that got a 2xx, which its ACK repeats; 0: none, or the last one failed. */
  inviteCseq: number;
  /** The peer's INVITE whose reliable provisional response waits for PRACK. */
  reliableInvite: Incoming | undefined;
  /** Our INVITE was cancelled, but a 2xx crossed the CANCEL: BYE follows the ACK. */
  byeAfterAck: boolean;
  /** RFC 4028: what was agreed, and the timers of it. */
  session: { terms: SessionTerms; end: Timer; refresh: Timer | undefined } | undefined;
  /** Its last Allow has UPDATE. */
  peerTakesUpdate: boolean;
  /** What our application last said of its media, for a re-INVITE that only refreshes. */
  localSdp: string;
  /** Ends it when nobody does: its application is gone, or did not answer a BYE. */
  endTimer: Timer | undefined;
}

/** A request from the network and its server transaction. */
export interface Incoming {
  readonly id: string;
  readonly key: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly toTag: string;
  /** Text with the top Via marked, as the application sees it. */
  readonly text: string;
  readonly viaLines: string;
  readonly transaction:
    | { kind: 'invite'; machine: Transaction<IstState, IstInput, SipRequest> }
    | { kind: 'other'; machine: Transaction<NistState, NistInput, SipRequest> };
  application: Application | undefined;
  dialog: Dialog | undefined;
  /** A final response is out, or the transaction is over. */
  answered: boolean;
  cancelled: boolean;
  /** Something, provisional or final, came from the application. */
  heardFromApplication: boolean;
  /** The To tag that all answers carry; the application may choose it with its first. */
  tag: string;
  reliable: { rseq: number; text: string; stop: () => void }[];
  waitingReliable: (() => void)[];
  unansweredTimer: Timer | undefined;
  proxy: { cancel(): void } | undefined;
}

/** A request to the network and its client transaction. */
export interface Outgoing {
  readonly id: string;
  /** Of its branch, which is another for each host that is tried. */
  key: string;
  branch: string;
  readonly method: string;
  readonly uri: string;
  /** As it was sent last. */
  text: string;
  /** Hosts that may still take it, best first; the one that has it now is `way`. */
  ways: Way[];
  way: Way | undefined;
  readonly callId: string;
  readonly cseq: number;
  readonly local: string;
  readonly localTag: string;
  readonly endpoint: Endpoint;
  readonly routes: readonly string[];
  /** `Call-ID;from-tag=` where this method makes dialogs or is in one, or empty. */
  readonly dialogId: string;
  flow: Flow | undefined;
  transaction:
    | { kind: 'invite'; machine: Transaction<IctState, IctInput, SipResponse> }
    | { kind: 'other'; machine: Transaction<NictState, NictInput, SipResponse> }
    | undefined;
  application: Application | undefined;
  dialog: Dialog | undefined;
  provisionalSeen: boolean;
  finalSeen: boolean;
  /** To tag of the 2xx that was passed up. */
  wonBy: string | undefined;
  cancel: { text: string; sent: boolean } | undefined;
  cancelTimer: Timer | undefined;
  /** Takes the responses in place of an application: proxy, our own BYE. */
  handler: ((response: SipResponse, flow: Flow) => void) | undefined;
  failed: ((status: number) => void) | undefined;
}
