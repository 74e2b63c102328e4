// A card with device memory and a kernel that hands out tokens, as far as a connection sees them.
import { DEVMEM_CMSG_SPACE, writeDmaBuf, writeLinear } from '../../../wire/control-messages.ts'
import type { QueuedError } from '../../../wire/queued-errors.ts'
import { ERRNO, type Errno } from '../../sys/errno.ts'
import { failureOf } from '../../sys/failure.ts'
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../sys/index.ts'
import {
  type DevmemIo,
  RECEIVE_BYTES,
  RECEIVE_FRAGS,
  type ReceiveMemory,
  type Wanted,
} from './kernel-io.ts'
import { MAX_RETURNED_RANGES, MAX_RETURNED_TOKENS } from './token-returns.ts'

/** Payload that a packet brings. */
export type Piece =
  | { readonly kind: 'linear'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'device'
      readonly binding: number
      readonly offset: number
      readonly length: number
    }

const MASKS: { readonly [wanted in Wanted]: number } = {
  readable: POLLIN | POLLERR | POLLHUP,
  writable: POLLOUT | POLLERR | POLLHUP,
  failed: POLLERR | POLLHUP,
}

export class FakeIo implements DevmemIo {
  readonly localAddress = { host: '192.0.2.1', port: 5201 }
  readonly remoteAddress = { host: '192.0.2.2', port: 40_000 }
  readonly memory: { -readonly [name in keyof ReceiveMemory]: ReceiveMemory[name] } = {
    bytes: new Uint8Array(RECEIVE_BYTES),
    control: new Uint8Array(RECEIVE_FRAGS * DEVMEM_CMSG_SPACE),
    controlLength: 0,
  }
  /** Tokens that the application has. */
  readonly tokens: Set<number> = new Set()
  /** Ranges of each call that gave tokens back. */
  readonly returns: number[][] = []
  /** Device sends that the peer has not confirmed, by number. */
  readonly sends: { readonly binding: number; readonly offset: number; readonly length: number }[] =
    []
  readonly events: string[] = []
  /** Most sends that wait for completion before ENOBUFS. */
  sendLimit: number = Number.POSITIVE_INFINITY
  /** Bytes that a send takes before it is full. */
  sendRoom: number = Number.POSITIVE_INFINITY
  closed = false
  /** Number of calls of {@link wait}. */
  waits = 0
  napi = 0
  #packets: Piece[][] = []
  #errors: QueuedError[][] = []
  #reaped = 0
  #pending: 'end' | Errno | undefined
  #waits = new Map<
    Wanted,
    { readonly promise: Promise<number>; readonly resolve: (events: number) => void }
  >()
  #stopped = false

  /** A packet arrives. */
  arrive(...pieces: readonly Piece[]): void {
    this.#packets.push([...pieces])
    this.#wake()
  }

  /** The peer finishes sending, or the connection breaks. */
  finish(how: 'end' | Errno = 'end'): void {
    this.#pending = how
    this.#wake()
  }

  /** The peer confirms the next `count` device sends, in one message. */
  confirm(count: number): void {
    const first = this.#reaped
    this.#reaped += count
    this.#errors.push([{ kind: 'zerocopy', first, last: first + count - 1, copied: false }])
    this.#wake()
  }

  /** Frees room for sends. */
  makeRoom(bytes: number): void {
    this.sendRoom += bytes
    this.#wake()
  }

  receive(): number | undefined {
    this.memory.controlLength = 0
    const packet = this.#packets.shift()
    if (packet === undefined) {
      if (this.#pending === undefined) return undefined
      if (this.#pending === 'end') return 0
      throw failureOf(this.#pending, 'recvmsg')
    }
    let bytes = 0
    let linear = 0
    let at = 0
    const unreadable = packet.some(({ kind }) => kind === 'device')
    for (const piece of packet) {
      if (piece.kind === 'linear') {
        this.memory.bytes.set(piece.bytes, linear)
        linear += piece.bytes.length
        bytes += piece.bytes.length
        if (!unreadable) continue
        writeLinear(this.memory.control, at, piece.bytes.length)
      } else {
        let token = 1
        while (this.tokens.has(token)) token++
        this.tokens.add(token)
        bytes += piece.length
        writeDmaBuf(this.memory.control, at, piece.offset, piece.length, token, piece.binding)
      }
      at += DEVMEM_CMSG_SPACE
    }
    this.memory.controlLength = at
    return bytes
  }

  send(pieces: readonly Uint8Array[], at: number): number | undefined {
    const bytes = Math.min(
      this.sendRoom,
      pieces.reduce((sum, each) => sum + each.length, -at),
    )
    if (bytes === 0) return undefined
    this.sendRoom -= bytes
    this.events.push(`send ${bytes}`)
    return bytes
  }

  sendDevice(binding: number, offset: number, length: number): number | undefined {
    if (binding === 404) throw failureOf(ERRNO.EINVAL, 'sendmsg')
    if (binding === 19) throw failureOf(ERRNO.ENODEV, 'sendmsg')
    if (this.sends.length - this.#reaped >= this.sendLimit)
      throw failureOf(ERRNO.ENOBUFS, 'sendmsg')
    const bytes = Math.min(this.sendRoom, length)
    if (bytes === 0) return undefined
    this.sendRoom -= bytes
    this.sends.push({ binding, offset, length: bytes })
    this.events.push(`device ${offset}+${bytes}`)
    return bytes
  }

  takeErrors(): readonly QueuedError[] | undefined {
    return this.#errors.shift()
  }

  giveBack(ranges: Uint32Array): number {
    if (this.closed) throw new Error('tokens go back to a closed socket')
    if (ranges.length > 2 * MAX_RETURNED_RANGES) throw failureOf(ERRNO.EINVAL, 'setsockopt')
    this.returns.push([...ranges])
    let walked = 0
    let known = 0
    for (let at = 0; at < ranges.length; at += 2) {
      for (
        let each = 0;
        each < (ranges[at + 1] ?? 0) && walked < MAX_RETURNED_TOKENS;
        each++, walked++
      ) {
        if (this.tokens.delete((ranges[at] ?? 0) + each)) known++
      }
    }
    return known
  }

  wait(wanted: Wanted): Promise<number> {
    this.waits++
    if (this.#stopped) return Promise.resolve(0)
    const waiting = this.#waits.get(wanted)
    if (waiting !== undefined) return waiting.promise
    let resolve = (_events: number): void => undefined
    const promise = new Promise<number>((done) => {
      resolve = done
    })
    this.#waits.set(wanted, { promise, resolve })
    this.#wake()
    return promise
  }

  endSending(): void {
    this.events.push('end')
  }

  shutDown(): void {
    this.events.push('shut down')
  }

  reset(): void {
    this.events.push('reset')
  }

  napiId(): number {
    return this.napi
  }

  stopWaiting(): void {
    this.#stopped = true
    for (const { resolve } of this.#waits.values()) resolve(0)
    this.#waits.clear()
  }

  setReferenced(): void {}

  close(): void {
    this.closed = true
    // The kernel frees the tokens of a socket with it.
    this.tokens.clear()
    this.stopWaiting()
  }

  #wake(): void {
    let events = 0
    if (this.#packets.length > 0 || this.#pending !== undefined) events |= POLLIN
    if (this.sendRoom > 0) events |= POLLOUT
    if (this.#errors.length > 0) events |= POLLERR
    if (this.#pending !== undefined && this.#pending !== 'end') events |= POLLERR | POLLHUP
    for (const [wanted, { resolve }] of [...this.#waits]) {
      if ((events & MASKS[wanted]) === 0) continue
      this.#waits.delete(wanted)
      resolve(events & MASKS[wanted])
    }
  }
}
