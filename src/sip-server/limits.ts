/** Every queue, buffer, wait and count of the SIP server, with its unit. */
export interface Limits {
  /** One SIP message, headers and body. A UDP datagram can hold no more. */
  readonly messageBytesMax: number;
  /** Start line and headers of one message. */
  readonly headerBytesMax: number;
  readonly headerLinesMax: number;
  /** One header that holds addresses, routes or credentials: what costs more than a look. */
  readonly addressHeaderBytesMax: number;
  readonly uriBytesMax: number;
  /** TCP and WebSocket connections, incoming and outgoing together. */
  readonly connectionsMax: number;
  /** Connections from one address. */
  readonly connectionsPerAddressMax: number;
  /** Bytes that wait for one slow reader (SIP or admin) before it is cut off. */
  readonly writeBufferBytesMax: number;
  /** Messages taken from one read of one connection before the others get their turn. */
  readonly messagesPerTurnMax: number;
  readonly transactionsMax: number;
  readonly dialogsMax: number;
  readonly adminConnectionsMax: number;
  /** One frame from an application; five digits of length, as drachtio-server reads them. */
  readonly adminFrameBytesMax: number;
  /** Frames that wait for their turn towards one application. */
  readonly adminQueueFramesMax: number;
  /** A connection that never sends a whole message is closed after this. */
  readonly idleConnectionMsMax: number;
  /** An application that does not authenticate is closed after this. */
  readonly authenticateMsMax: number;
  /** A request that the application does not answer is forgotten after this. */
  readonly unansweredRequestMsMax: number;
  /** Dialogs whose application is gone are ended with BYE after this. */
  readonly orphanDialogMsMax: number;
  readonly connectMsMax: number;
  /** Registered `.invalid` contacts that point at a connection (RFC 7118). */
  readonly aliasesMax: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageBytesMax: 65_535,
  headerBytesMax: 32_768,
  headerLinesMax: 256,
  addressHeaderBytesMax: 8_192,
  uriBytesMax: 4_096,
  connectionsMax: 4_096,
  connectionsPerAddressMax: 1_024,
  writeBufferBytesMax: 1_048_576,
  messagesPerTurnMax: 32,
  transactionsMax: 200_000,
  dialogsMax: 50_000,
  adminConnectionsMax: 64,
  adminFrameBytesMax: 99_999,
  adminQueueFramesMax: 20_000,
  idleConnectionMsMax: 600_000,
  authenticateMsMax: 10_000,
  unansweredRequestMsMax: 64_000,
  orphanDialogMsMax: 60_000,
  connectMsMax: 5_000,
  aliasesMax: 10_000,
};
