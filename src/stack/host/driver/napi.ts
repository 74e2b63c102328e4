/**
 * Polling as NAPI does it: queues are polled, 64 packets at a time, while there is something, and
 * wait for one interrupt when there is nothing (Linux, Documentation/networking/napi.rst).
 */

/** Packets of a queue before the other queues have their turn. */
const NAPI_BUDGET = 64

/** Packets before the event loop has its turn, as in the kernel (net.core.netdev_budget). */
const ROUND_BUDGET = 300

/** Times a round looks at empty queues: each takes some 20 ns, a round of the event loop a microsecond and garbage. */
const EMPTY_POLLS = 256

/** Empty rounds before it waits for an interrupt, which takes a tenth of a millisecond to arrive. */
const IDLE_ROUNDS = 8

export interface Pollable {
  /** Handles at most `budget` packets; returns how many there were. */
  poll(budget: number): number
  /** Resolves when there is something to poll; `undefined` when there is already. */
  interrupt(): Promise<unknown> | undefined
}

export class Napi {
  /** An array: going through a map makes garbage every time. */
  readonly #polled: Pollable[] = []
  readonly #senders: readonly Pollable[]
  /** Queues whose interrupt is awaited. */
  readonly #armed = new Set<Pollable>()
  #running = false
  #scheduled = false
  #idle = 0

  /** `senders` are polled after the queues, and may change while it runs. */
  constructor(senders: readonly Pollable[] = []) {
    this.#senders = senders
  }

  start(): void {
    this.#running = true
    this.#schedule()
  }

  stop(): void {
    this.#running = false
  }

  /** Polls soon, if it runs: something was sent, whose end nobody waits for yet. */
  wake(): void {
    this.#idle = 0
    this.#schedule()
  }

  /** Polls every queue once; returns how many packets there were. */
  poll(budget: number = NAPI_BUDGET): number {
    let packets = 0
    const queues = this.#polled
    for (let at = 0; at < queues.length; at++) packets += queues[at]?.poll(budget) ?? 0
    for (let at = 0; at < this.#senders.length; at++) this.#senders[at]?.poll(budget)
    return packets
  }

  /** A queue begins to be polled. */
  add(queue: Pollable): void {
    this.#polled.push(queue)
    this.#schedule()
  }

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
    this.#idle = this.#pollRound() > 0 ? 0 : this.#idle + 1
    if (this.#idle < IDLE_ROUNDS || !this.#waitForInterrupts()) this.#schedule()
  }

  #pollRound(): number {
    let packets = 0
    for (let empty = 0; empty < EMPTY_POLLS && packets < ROUND_BUDGET; empty++) {
      const polled = this.poll()
      packets += polled
      if (polled > 0) empty = 0
    }
    return packets
  }

  /** False when something has arrived meanwhile. */
  #waitForInterrupts(): boolean {
    for (const queue of this.#polled) if (!this.#arm(queue)) return false
    for (const sender of this.#senders) if (!this.#arm(sender)) return false
    return true
  }

  #arm(queue: Pollable): boolean {
    if (this.#armed.has(queue)) return true
    const interrupt = queue.interrupt()
    if (interrupt === undefined) return false
    this.#armed.add(queue)
    void interrupt.then(() => {
      this.#armed.delete(queue)
      this.#idle = 0
      this.#schedule()
    })
    return true
  }
}
