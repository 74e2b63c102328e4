/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Kernel sockets into pages: TCP, Unix domain sockets, TLS.
 *
 * Read on: `connection.ts` (the connection that an application has), `driver/` (posts memory to the
 * socket), `receivers/` (take the bytes that arrive).
 *
 * @module
 */

export type {
  Address,
  ByteDestination,
  Connection,
  ConnectionState,
  FillOptions,
  HostReceivers,
  PipeOptions,
  ReceiveOptions,
  Sendable,
  TlsInfo,
  Viewer,
} from '../connection.ts'
export { type AdoptOptions, adopt } from './adopt.ts'
export { type ConnectOptions, connect } from './connect.ts'
export type { ConnectionOptions } from './connection-options.ts'
export type { WakeBatching } from './driver/wake-batching.ts'
export { type Listener, type ListenOptions, listen } from './listen.ts'
export { pipeTo } from './receivers/pipe.ts'
export { type Message, type MessageFraming, readMessages } from './receivers/read-messages.ts'
export { receiveBody } from './receivers/receive-body.ts'
export { type ReceiveIntoOptions, receiveInto } from './receivers/receive-into.ts'
