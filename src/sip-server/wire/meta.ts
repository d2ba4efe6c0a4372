import { randomUUID } from 'node:crypto';
import type { Endpoint, Flow } from '../transport/flow.ts';

/** Clock time as frames carry it: `HH:MM:SS.uuuuuu`, UTC. */
export function wireTime(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(11, 23)}000`;
}

/** 4.1: a message from the network. `receivedOn` only for new requests. */
export function networkFrame(
  parts: {
    bytes: number;
    flow: Flow | undefined;
    protocol?: string;
    nowMs: number;
    transactionId: string;
    dialogId: string;
    isNew: boolean;
  },
  message: string,
): string {
  const { flow } = parts;
  const peer =
    flow === undefined
      ? `${parts.protocol ?? 'udp'}||0`
      : `${wireProtocol(flow)}|${flow.remoteAddress}|${flow.remotePort}`;
  const receivedOn = parts.isNew && flow !== undefined ? `${flow.local.address}|${flow.local.port}|` : '';
  return `${randomUUID()}|sip|network|${parts.bytes}|${peer}|${wireTime(parts.nowMs)}|${parts.transactionId}|${parts.dialogId}|${receivedOn}\r\n${message}`;
}

/** 4.6: a BYE that the server has already sent itself. */
export function unsolicitedFrame(flow: Flow, nowMs: number, dialogId: string, message: string): string {
  return `${randomUUID()}|sip|application|${message.length}|${wireProtocol(flow)}|${flow.local.address}|${flow.local.port}|${wireTime(nowMs)}|unsolicited|${dialogId}|\r\n${message}`;
}

/** 4.2: echo of a request the application sent; addresses are the local ones. */
export function requestEcho(
  id: string,
  local: Endpoint,
  nowMs: number,
  transactionId: string,
  message: string,
): string {
  return `${randomUUID()}|response|${id}|OK|application|${message.length}|${wireProtocol(local)}|${local.address}|${local.port}|${wireTime(nowMs)}|${transactionId}|Msg sent:|\r\n${message}`;
}

/** 4.3: echo of a response the application sent; addresses are the peer's. */
export function responseEcho(
  parts: { id: string; flow: Flow; nowMs: number; transactionId: string; dialogId: string },
  message: string,
): string {
  const { id, flow, transactionId, dialogId } = parts;
  return `${randomUUID()}|response|${id}|OK|application|${message.length}|${wireProtocol(flow)}|${flow.remoteAddress}|${flow.remotePort}|${wireTime(parts.nowMs)}|${transactionId}|${dialogId}||Msg sent:|\r\n${message}`;
}

/** 4.4: a final response of a proxy target. */
export function proxyProgress(id: string, flow: Flow | undefined, nowMs: number, message: string): string {
  const peer = flow === undefined ? 'udp||0' : `${wireProtocol(flow)}|${flow.remoteAddress}|${flow.remotePort}`;
  return `${randomUUID()}|response|${id}|OK|network|${message.length}|${peer}|${wireTime(nowMs)}|||continue\r\n${message}`;
}

export function plainAnswer(id: string, ...tokens: string[]): string {
  return `${randomUUID()}|response|${id}|${tokens.join('|')}`;
}

/** drachtio-server shows WebSocket connections as tcp. */
export function wireProtocol({ protocol }: { readonly protocol: string }): string {
  return protocol === 'ws' || protocol === 'wss' ? 'tcp' : protocol;
}
