/**
 * Requests and their replies on one socket, one request at a time. The kernel runs at most one dump on a
 * socket. It answers a request before the sending call returns.
 */

import { aborted } from '../../net/internal.ts'
import { deferred } from '../../pool/waiters.ts'
import {
  type NetlinkMessage,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
  NLMSG_OVERRUN,
  parseMessages,
} from '../../wire/netlink.ts'
import { type Acknowledgement, parseAcknowledgement } from '../../wire/netlink-acknowledgement.ts'
import { clientClosed, overrun, truncated } from './netlink-error.ts'
import type { NetlinkTransport } from './transport.ts'

/** A dump whose data changed is repeated at most so often. Busy hosts may never give a clean one. */
const DUMP_REPEATS = 5
/** Datagrams that are read before other work of the thread has a turn. */
const DATAGRAMS_PER_TURN = 16

/** A request to send. */
export interface Request {
  /** Name in messages of errors. */
  readonly what: string
  /** True for a dump, which ends with NLMSG_DONE. Others end with their acknowledgement. */
  readonly isDump: boolean
  /** Builds the message with the sequence number. */
  readonly build: (sequence: number) => Uint8Array
  readonly signal?: AbortSignal | undefined
}

/** Answer to a request. */
export interface KernelAnswer {
  /** Copies of the payloads of the replies, in their order. */
  readonly payloads: readonly Uint8Array[]
  /** The message that was sent, for the offsets in the acknowledgement. */
  readonly sent: Uint8Array
  readonly acknowledgement: Acknowledgement
  /** True if a dump's data changed while it ran: objects may be missing or there twice. */
  readonly interrupted: boolean
}

/** The requests of one socket. */
export class Requests {
  readonly #transport: NetlinkTransport
  #sequence = 0
  #isClosed = false
  /** True if a request was given up before its end came. */
  #isLeftOver = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(transport: NetlinkTransport) {
    this.#transport = transport
  }

  close(): void {
    this.#isClosed = true
    this.#transport.close()
  }

  /**
   * Sends a request and collects its replies. An interrupted dump is repeated.
   *
   * @throws NETMEM_NETLINK_TRUNCATED, NETMEM_NETLINK_OVERRUN, NETMEM_NETLINK_MALFORMED,
   *   NETMEM_NETLINK_CLOSED or NETMEM_ABORTED, as a rejection. What the kernel refuses is in the answer.
   */
  async request(request: Request): Promise<KernelAnswer> {
    const before = this.#turn
    const { promise, resolve } = deferred()
    this.#turn = promise
    try {
      await before
      for (let repeats = 0; ; repeats += 1) {
        const answer = await this.#once(request)
        if (!answer.interrupted || repeats === DUMP_REPEATS) return answer
      }
    } finally {
      resolve()
    }
  }

  async #once(request: Request): Promise<KernelAnswer> {
    this.#check(request.signal)
    if (this.#isLeftOver) this.#discard()
    // 0 is the number of notifications.
    this.#sequence = (this.#sequence % 0x7fffffff) + 1
    const sequence = this.#sequence
    const sent = request.build(sequence)
    this.#isLeftOver = true
    this.#transport.send(sent)
    const answer = await this.#collect(sequence, sent, request)
    this.#isLeftOver = false
    return answer
  }

  /**
   * Drops what is left of a request that was given up. The kernel makes the next part of a dump when
   * one is taken, and refuses a second dump before the end of the first.
   */
  #discard(): void {
    while (this.#transport.receive() !== undefined);
    this.#isLeftOver = false
  }

  async #collect(sequence: number, sent: Uint8Array, request: Request): Promise<KernelAnswer> {
    const payloads: Uint8Array[] = []
    let interrupted = false
    for (let datagrams = 0; ; datagrams += 1) {
      if (datagrams % DATAGRAMS_PER_TURN === DATAGRAMS_PER_TURN - 1) await nextTurn()
      this.#check(request.signal)
      const received = this.#transport.receive()
      if (received === undefined) {
        await this.#transport.readable(request.signal)
        continue
      }
      if (received.kind === 'overrun') throw overrun(request.what)
      if (received.kind === 'truncated') {
        throw truncated(request.what, received.bytes, received.room)
      }
      for (const message of parseMessages(received.bytes)) {
        // A reply to a request that was given up, or a notification.
        if (message.sequence !== sequence) continue
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true
        if (isEnd(message)) {
          const acknowledgement = parseAcknowledgement(message)
          return { payloads, sent, acknowledgement, interrupted }
        }
        if (message.type === NLMSG_OVERRUN) throw overrun(request.what)
        if (message.type >= NLMSG_MIN_TYPE) payloads.push(new Uint8Array(message.payload))
      }
    }
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw clientClosed()
    if (signal?.aborted === true) throw aborted(signal.reason)
  }
}

function isEnd({ type }: NetlinkMessage): boolean {
  return type === NLMSG_ERROR || type === NLMSG_DONE
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
