/// <reference lib="esnext.disposable" preserve="true" />

/** Two cards that are wired to each other, in a thread of their own. */

import { Worker } from 'node:worker_threads'
import {
  ArgumentRangeError,
  ArgumentTypeError,
  checkInteger,
  type OptionNames,
  ownOptions,
} from '../errors.ts'
import { EFD_NONBLOCK, eventfd, type OwnedFd, write } from '../linux/sys/index.ts'
import type { CardLook, CardThreadData, FromCards, ToCards } from './thread/messages.ts'

const SCRIPT = new URL('./thread/card.worker.js', import.meta.url)

/** Options of {@link openWiredCards}. */
export interface WiredCardsOptions {
  /** Places of the two sockets that QEMU connects to, at most 107 bytes each. */
  readonly sockets: readonly string[]
  /** Queues of each card, each way: 1 to 16. 4 by default. */
  readonly queues?: number
  /** MTU that the guests' interfaces start with, and the largest they take: 68 to 9000. 1500 by default. */
  readonly mtu?: number
  /** Part of the frames that are lost each way: 0 to 1. 0 by default. */
  readonly loss?: number
  /** Seed of the losses: 0 to 2^32 − 1. 0 by default. */
  readonly seed?: number
  /** Called when a machine could not have a card, with the reason. */
  readonly onRefused?: (socket: string, code: string, message: string) => void
}

const NAMES: OptionNames<WiredCardsOptions> = {
  ...{ sockets: true, queues: true, mtu: true, loss: true, seed: true, onRefused: true },
}

/** Two cards that machines can connect to. */
export interface WiredCards extends AsyncDisposable {
  /** Returns the cards as they are now, in the order of their sockets. */
  look(): Promise<readonly CardLook[]>
  /** Takes the link between the cards down or up. */
  setLink(up: boolean): void
  /** Disconnects the machines and removes the sockets. */
  close(): Promise<void>
  /** Resolves when the cards are gone. Rejects with the error that ended them. */
  readonly closed: Promise<void>
}

/**
 * Opens two network cards that are wired to each other: what one guest's interface sends, the other's
 * receives. Both may be in one machine. They keep this process running.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range,
 *   NETMEM_SYSCALL_FAILED if there cannot be such a socket, NETMEM_LINUX_UNAVAILABLE without Linux or
 *   koffi, as a rejection.
 *
 * @example
 * ```ts
 * import { openWiredCards } from 'netmem/gvnic'
 *
 * const cards = await openWiredCards({ sockets: ['/tmp/example-a.sock', '/tmp/example-b.sock'] })
 * console.log((await cards.look()).map(({ connected }) => connected)) // [ false, false ]
 * await cards.close()
 * ```
 */
export async function openWiredCards(options: WiredCardsOptions): Promise<WiredCards> {
  const own = ownOptions('openWiredCards()', options, NAMES)
  const { sockets, loss = 0 } = own
  const isPlace = (path: unknown): boolean => typeof path === 'string' && path !== ''
  const arePlaces = Array.isArray(sockets) && sockets.length === 2 && sockets.every(isPlace)
  if (!arePlaces || sockets[0] === sockets[1]) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'openWiredCards() takes the places of two sockets: one for each card.',
    )
  }
  if (typeof loss !== 'number' || !(loss >= 0 && loss <= 1)) {
    throw new ArgumentRangeError('NETMEM_OUT_OF_RANGE', `loss must be 0 to 1, not ${loss}.`)
  }
  const seed = checkInteger('seed', own.seed ?? 0, 0, 2 ** 32 - 1)
  const queues = checkInteger('queues', own.queues ?? 4, 1, 16)
  const mtu = checkInteger('mtu', own.mtu ?? 1500, 68, 9000)
  const faults = loss > 0 ? { seed, loss } : undefined
  const wake = eventfd(0, EFD_NONBLOCK)
  const data: CardThreadData = { wake: wake.fd, sockets, queues, mtu, faults }
  const cards = new CardThread(wake, data, own.onRefused)
  await cards.opened
  return cards
}

class CardThread implements WiredCards {
  readonly opened: Promise<void>
  readonly closed: Promise<void>
  readonly #wake: OwnedFd
  readonly #worker: Worker
  #looks: ((cards: readonly CardLook[]) => void)[] = []

  constructor(wake: OwnedFd, data: CardThreadData, onRefused: WiredCardsOptions['onRefused']) {
    this.#wake = wake
    this.#worker = new Worker(SCRIPT, {
      workerData: data,
      name: 'netmem gvnic',
      execArgv: [],
    })
    const { promise, resolve, reject } = withResolvers()
    this.closed = promise
    this.opened = new Promise((opened, failed) => {
      this.#worker.on('message', (message: FromCards) => {
        if (message.kind === 'open') opened()
        else if (message.kind === 'look') this.#looks.shift()?.(message.cards)
        else onRefused?.(message.socket, message.code, message.message)
      })
      this.#worker.once('error', (error) => {
        reject(error)
        failed(error)
      })
    })
    // Whoever does not wait for the end still learns of a failure by the calls.
    this.closed.catch(() => undefined)
    this.#worker.once('exit', () => {
      wake.close()
      for (const look of this.#looks.splice(0)) look([])
      resolve()
    })
  }

  look(): Promise<readonly CardLook[]> {
    if (!this.#wake.open) return Promise.resolve([])
    return new Promise((resolve) => {
      this.#looks.push(resolve)
      this.#send({ kind: 'look' })
    })
  }

  setLink(up: boolean): void {
    this.#send({ kind: 'link', up })
  }

  async close(): Promise<void> {
    this.#send({ kind: 'close' })
    await this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #send(message: ToCards): void {
    if (!this.#wake.open) return
    this.#worker.postMessage(message)
    write(this.#wake.fd, ONE)
  }
}

const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)

/** Promise.withResolvers, which Node.js 20 has not. */
function withResolvers(): {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
} {
  let resolve = (): void => undefined
  let reject = (_error: Error): void => undefined
  const promise = new Promise<void>((resolved, rejected) => {
    resolve = resolved
    reject = rejected
  })
  return { promise, resolve, reject }
}
