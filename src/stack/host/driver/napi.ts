/**
 * Polling as NAPI does it. Queues are polled 64 packets at a time while packets arrive. Otherwise they
 * wait for one interrupt (Linux, Documentation/networking/napi.rst).
 */

import { nap } from '../../rings/doorbell.ts'

/** Packets of a queue before the next queue is polled. */
const NAPI_BUDGET = 64

/** Packets before the event loop runs, as in the kernel (net.core.netdev_budget). */
const ROUND_BUDGET = 300

/** Polls of empty queues in a round. A poll takes some 20 ns, a round of the event loop a microsecond and garbage. */
const EMPTY_POLLS = 256

/**
 * Polls of one empty queue in a round behind packets: a busy NIC's next batch comes within these 80 µs. A
 * nap instead would cost that NIC a system call a batch, and a tenth of its speed.
 */
const POLLS_BEHIND_PACKETS = 4096

/** Empty rounds before the wait for an interrupt, which takes 0.1 ms to arrive. Each has a nap. */
const IDLE_ROUNDS = 24

/** Ms of a nap at most. A nap blocks the event loop. */
const NAP_MS = 0.2

/** A queue that is polled. */
export interface Pollable {
  /** Handles at most `budget` packets. Returns the number of those that were received. */
  poll(budget: number): number
  /** Resolves when there is a packet to poll. Returns `undefined` if there is one already. */
  interrupt(): Promise<unknown> | undefined
}

export class Napi {
  // An array: iterating over a map makes garbage.
  readonly #polled: Pollable[] = []
  readonly #doorbell: Int32Array
  /** Queues whose interrupt is awaited. */
  readonly #armed = new Set<Pollable>()
  #running = false
  #scheduled = false
  #idle = 0

  /** @param doorbell Doorbell of the NIC, which ends naps. */
  constructor(doorbell: SharedArrayBuffer) {
    this.#doorbell = new Int32Array(doorbell)
  }

  /** Polls from the event loop until {@link stop}. */
  start(): void {
    this.#running = true
    this.#schedule()
  }

  /** Stops polling. */
  stop(): void {
    this.#running = false
  }

  /** Polls soon if it runs. Also called when a packet was sent, whose completion has no interrupt armed. */
  wake(): void {
    this.#idle = 0
    this.#schedule()
  }

  /** Polls every queue once. Returns the number of received packets. */
  poll(budget: number = NAPI_BUDGET): number {
    let packets = 0
    const queues = this.#polled
    for (let at = 0; at < queues.length; at++) packets += queues[at]?.poll(budget) ?? 0
    return packets
  }

  /** Adds a queue. */
  add(queue: Pollable): void {
    this.#polled.push(queue)
    this.#schedule()
  }

  /** Removes a queue. */
  remove(queue: Pollable): void {
    const at = this.#polled.indexOf(queue)
    if (at >= 0) this.#polled.splice(at, 1)
  }

  #schedule(): void {
    if (this.#scheduled || !this.#running) return
    this.#scheduled = true
    setImmediate(this.#round)
  }

  readonly #round = (): void => {
    this.#scheduled = false
    if (!this.#running) return
    const packets = this.#pollRound() || nap(this.#doorbell, NAP_MS, this.#look)
    this.#idle = packets > 0 ? 0 : this.#idle + 1
    if (this.#idle < IDLE_ROUNDS || !this.#waitForInterrupts()) this.#schedule()
  }

  readonly #look = (): number => this.poll()

  #pollRound(): number {
    const behindPackets = POLLS_BEHIND_PACKETS / Math.max(1, this.#polled.length)
    const polls = this.#idle > 0 ? EMPTY_POLLS : Math.max(EMPTY_POLLS, behindPackets)
    let packets = 0
    for (let empty = 0; empty < polls && packets < ROUND_BUDGET; empty++) {
      const polled = this.poll()
      packets += polled
      if (polled > 0) empty = 0
    }
    return packets
  }

  /** Arms the interrupts of all queues. Returns false if a packet has arrived before. */
  #waitForInterrupts(): boolean {
    for (const queue of this.#polled) {
      if (this.#armed.has(queue)) continue
      const interrupt = queue.interrupt()
      if (interrupt === undefined) return false
      this.#armed.add(queue)
      void interrupt.then(() => {
        this.#armed.delete(queue)
        this.wake()
      })
    }
    return true
  }
}
