/**
 * Polling as NAPI does it: queues are polled, 64 packets at a time, while there is something, and
 * wait for one interrupt when there is nothing (Linux, Documentation/networking/napi.rst).
 */

/** Packets of a queue before the others and the event loop have their turn. */
export const NAPI_BUDGET = 64

/** Empty rounds before it waits for an interrupt, which takes a tenth of a millisecond to arrive. */
const IDLE_ROUNDS = 32

export interface Pollable {
  /** Handles at most `budget` packets; returns how many there were. */
  poll(budget: number): number
  /** Resolves when there is something to poll; `undefined` when there is already. */
  interrupt(): Promise<unknown> | undefined
}

export class Napi {
  readonly #queues: ReadonlyMap<number, Pollable>
  readonly #senders: readonly Pollable[]
  /** Queues whose interrupt is awaited. */
  readonly #armed = new Set<Pollable>()
  #running = false
  #scheduled = false
  #idle = 0

  /** `queues`, and `senders` after them, may change while it runs. */
  constructor(queues: ReadonlyMap<number, Pollable>, senders: readonly Pollable[] = []) {
    this.#queues = queues
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
    for (const queue of this.#queues.values()) packets += queue.poll(budget)
    for (let at = 0; at < this.#senders.length; at++) this.#senders[at]?.poll(budget)
    return packets
  }

  #schedule(): void {
    if (this.#scheduled || !this.#running) return
    this.#scheduled = true
    setImmediate(this.#round)
  }

  readonly #round = (): void => {
    this.#scheduled = false
    if (!this.#running) return
    if (this.poll() > 0) this.#idle = 0
    else this.#idle++
    if (this.#idle < IDLE_ROUNDS || !this.#waitForInterrupts()) this.#schedule()
  }

  /** False when something has arrived meanwhile. */
  #waitForInterrupts(): boolean {
    for (const queue of this.#queues.values()) if (!this.#arm(queue)) return false
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
