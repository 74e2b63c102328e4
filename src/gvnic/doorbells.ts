/**
 * Doorbells in BAR 2, little-endian words: first of the interrupts, then of the transmit queues, then of
 * the receive queues. The driver learns their numbers from the card.
 */

export const DOORBELL_BYTES = 4096

/** Numbers of the doorbells of a card with `queues` queues each way. */
export class DoorbellMap {
  readonly blocks: number
  readonly #queues: number

  constructor(queues: number) {
    this.#queues = queues
    this.blocks = 2 * queues
  }

  interrupt(block: number): number {
    return block
  }

  tx(queue: number): number {
    return this.blocks + queue
  }

  rx(queue: number): number {
    return this.blocks + this.#queues + queue
  }

  /** Returns the transmit queue of a doorbell. −1 if it is another's. */
  txQueue(doorbell: number): number {
    const queue = doorbell - this.blocks
    return queue >= 0 && queue < this.#queues ? queue : -1
  }

  /** Returns the receive queue of a doorbell. −1 if it is another's. */
  rxQueue(doorbell: number): number {
    const queue = doorbell - this.blocks - this.#queues
    return queue >= 0 && queue < this.#queues ? queue : -1
  }
}
