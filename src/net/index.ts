/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Kernel sockets into pages: TCP, Unix domain sockets, TLS.
 *
 * Read on: `connection.ts` (what an application has), `socket-driver.ts` (what posts memory),
 * `posted-reads.ts` (how Node.js is made to read into it), `page-supply.ts` (who gets pages when
 * there are few).
 *
 * @module
 */

export { type AdoptOptions, adopt } from './adopt.ts'
export { type ConnectOptions, connect } from './connect.ts'
export type {
  Address,
  Connection,
  ConnectionState,
  ReceiveOptions,
} from './connection.ts'
export type { ConnectionOptions } from './connection-options.ts'
export { type Listener, type ListenOptions, listen } from './listen.ts'
export type { LowWater } from './low-water.ts'
export { type PipeOptions, pipeTo } from './pipe.ts'
export { receiveBody } from './receive-body.ts'
export { type ReceiveIntoOptions, receiveInto } from './receive-into.ts'
export type { ByteDestination } from './sink.ts'
export { type Framing, type Message, split } from './split.ts'
export type { TlsInfo } from './tls-info.ts'
