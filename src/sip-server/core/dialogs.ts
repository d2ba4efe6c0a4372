import { type DialogState, dialogIdOf, matchesRequest } from '../dialog.ts';
import { headerOf, listHas, type SipMessage, type SipRequest } from '../message/message.ts';
import type { Flow } from '../transport/flow.ts';
import type { Application } from '../wire/application.ts';
import type { Context } from './context.ts';
import { stopSession } from './sessions.ts';
import type { Dialog } from './types.ts';

/** Puts a dialog into the table; undefined where it is full. */
export function addDialog(
  context: Context,
  state: DialogState,
  owner: Application | undefined,
  flow: Flow,
): Dialog | undefined {
  if (context.dialogs.size >= context.limits.dialogsMax) {
    context.count('limit_dialogs');
    return undefined;
  }
  const dialog: Dialog = {
    state,
    owner,
    flow,
    unacked: undefined,
    acks: undefined,
    inviteCseq: 0,
    byeAfterAck: false,
    reliableInvite: undefined,
    session: undefined,
    peerTakesUpdate: false,
    localSdp: '',
    endTimer: undefined,
  };
  context.dialogs.set(state.id, dialog);
  return dialog;
}

export function removeDialog(context: Context, dialog: Dialog): void {
  dialog.unacked?.stop();
  dialog.unacked = undefined;
  dialog.endTimer?.cancel();
  stopSession(dialog);
  if (context.dialogs.get(dialog.state.id) === dialog) context.dialogs.delete(dialog.state.id);
}

/** The dialog a request is in: made by the peer (its From tag names it) or by us (our To tag does). */
export function findDialog(context: Context, request: SipRequest): Dialog | undefined {
  const byPeer = context.dialogs.get(dialogIdOf(request.callId, request.from.tag ?? ''));
  if (byPeer?.state.role === 'uas' && matchesRequest(byPeer.state, request)) return byPeer;
  const byUs = context.dialogs.get(dialogIdOf(request.callId, request.to.tag ?? ''));
  if (byUs?.state.role === 'uac' && matchesRequest(byUs.state, request)) return byUs;
  return undefined;
}

/** RFC 3311 §5.1: who takes UPDATE says so in Allow; a message without Allow says nothing new. */
export function noteAllow(dialog: Dialog, message: SipMessage): void {
  if (headerOf(message, 'allow') !== undefined) dialog.peerTakesUpdate = listHas(message, 'allow', 'update');
}

/** The peer's request moves the dialog on: its CSeq, its contact, the way it came. */
export function touchDialog(
  dialog: Dialog,
  incoming: { request: SipRequest; flow: Flow },
  target: string | undefined,
): void {
  dialog.flow = incoming.flow;
  dialog.state = {
    ...dialog.state,
    remoteCseq: incoming.request.cseq,
    remoteTarget: target ?? dialog.state.remoteTarget,
  };
}
