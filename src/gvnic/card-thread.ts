/// <reference lib="esnext.disposable" preserve="true" />

/** The thread of cards, as the one that has opened them sees it. */

import { Worker } from 'node:worker_threads'
import { EFD_NONBLOCK, eventfd, type OwnedFd, write } from '../linux/sys/index.ts'
import { failureError } from '../stack/rings/device-failure.ts'
import type { CardLook, CardThreadData, FromCards, ToCards } from './thread/messages.ts'

const SCRIPT = new URL('./thread/card.worker.js', import.meta.url)

/**
 * Called with the reason when a machine cannot have a card or has to wait for it, and when the link of a
 * card has failed.
 */
export type OnFault = (socket: string, code: string, message: string) => void

/** Cards that machines can connect to. */
export interface CardServer extends AsyncDisposable {
  /** Returns the cards as they are now, in the order of their sockets. */
  look(): Promise<readonly CardLook[]>
  /** Takes the links of the cards down or up. */
  setLink(up: boolean): void
  /** Disconnects the machines and removes the sockets. */
  close(): Promise<void>
  /** Resolves when the cards are gone. Rejects with the error that ended them. */
  readonly closed: Promise<void>
}

/** Starts a thread with cards, and resolves when machines can connect. */
export async function openCardThread(
  data: Omit<CardThreadData, 'wake'>,
  onFault: OnFault | undefined,
): Promise<CardServer> {
  const wake = eventfd(0, EFD_NONBLOCK)
  const cards = new CardThread(wake, { ...data, wake: wake.fd }, onFault)
  await cards.opened
  return cards
}

class CardThread implements CardServer {
  readonly opened: Promise<void>
  readonly closed: Promise<void>
  readonly #wake: OwnedFd
  readonly #worker: Worker
  #looks: ((cards: readonly CardLook[]) => void)[] = []

  constructor(wake: OwnedFd, data: CardThreadData, onFault: OnFault | undefined) {
    this.#wake = wake
    this.#worker = new Worker(SCRIPT, {
      workerData: data,
      name: 'netmem gvnic',
      execArgv: [],
    })
    const { promise, resolve, reject } = withResolvers()
    this.closed = promise
    this.opened = new Promise((opened, failed) => {
      const fail = (error: Error): void => {
        reject(error)
        failed(error)
      }
      this.#worker.on('message', (message: FromCards) => {
        if (message.kind === 'open') opened()
        else if (message.kind === 'failed') fail(failureError(message.failure))
        else if (message.kind === 'look') this.#looks.shift()?.(message.cards)
        else onFault?.(message.socket, message.code, message.message)
      })
      this.#worker.once('error', fail)
    })
    // A program that does not wait for the end learns of a failure by its calls.
    this.closed.catch(() => undefined)
    if (running.size === 0) process.on('exit', endAll)
    running.add(this)
    this.#worker.once('exit', () => {
      running.delete(this)
      if (running.size === 0) process.off('exit', endAll)
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
    this.end()
    await this.closed
  }

  /** Ends the thread's sleep in poll(2), and the thread. */
  end(): void {
    this.#send({ kind: 'close' })
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

/** Threads that run. The end of the process would wait for each until its sleep ends by itself. */
const running = new Set<CardThread>()

function endAll(): void {
  for (const thread of running) thread.end()
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
