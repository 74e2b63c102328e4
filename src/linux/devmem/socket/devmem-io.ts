/**
 * System calls of one devmem socket, as a connection makes them. The kernel is one implementation
 * (`kernel-io.ts`). Tests have another.
 */

import type { Address } from '../../../connection.ts'
import type { QueuedError } from '../../../wire/queued-errors.ts'

/** Most bytes that one call receives: 128 net_iovs of 4 KiB. */
export const RECEIVE_BYTES: number = 512 * 1024
/** Most frags that one call receives. */
export const RECEIVE_FRAGS = 128

/** Memory that {@link DevmemIo.receive} fills. Connections share it: they empty it before they return. */
export interface ReceiveMemory {
  /** Payload that the host may read. */
  readonly bytes: Uint8Array
  /** Control messages. */
  readonly control: Uint8Array
  /** Bytes of control messages that the last call received. */
  readonly controlLength: number
}

/** A wait that {@link DevmemIo.wait} begins. Each has one waiter. */
export type Wanted = 'readable' | 'writable' | 'failed'

/** Calls throw a `LinuxError` of the kernel's refusal. Those that would have to wait return undefined. */
export interface DevmemIo {
  readonly localAddress: Address
  readonly remoteAddress: Address
  readonly memory: ReceiveMemory
  /** Receives payload: bytes, or frags as control messages. Returns their bytes, 0 at the end of the stream. */
  receive(): number | undefined
  /** Sends `pieces` from byte `at` of the first. Returns the bytes that went. */
  send(pieces: readonly Uint8Array[], at: number): number | undefined
  /** Sends device memory without a copy. Returns the bytes that went. */
  sendDevice(binding: number, offset: number, length: number): number | undefined
  /** Takes the next messages of the error queue, or undefined if it is empty. */
  takeErrors(): readonly QueuedError[] | undefined
  /** Gives tokens back: pairs of a first token and a number. Returns how many the kernel knew. */
  giveBack(ranges: Uint32Array): number
  /** Resolves with POLL* events, or 0 if the socket is closed before. `failed` waits for POLLERR and POLLHUP alone. */
  wait(wanted: Wanted): Promise<number>
  /** Ends the stream that is sent. */
  endSending(): void
  /** Ends both streams. */
  shutDown(): void
  /** Ends the connection with a reset. The socket stays open. */
  reset(): void
  /** Number of the NAPI instance that the last packet came by, or 0 before the first packet. */
  napiId(): number
  /** Resolves pending waits with 0, and later ones. */
  stopWaiting(): void
  /** Lets waits keep the process alive, or not. */
  setReferenced(referenced: boolean): void
  close(): void
}
