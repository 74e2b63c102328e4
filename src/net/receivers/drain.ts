/** The receiver of a connection that closes: drops what its peer still sends, up to a limit. */

import type { Receiver, Wants } from './receiver.ts'

export class Drain implements Receiver {
  #left: number
  readonly #enough: () => void

  /** @param enough - called once `bytes` bytes have arrived. */
  constructor(bytes: number, enough: () => void) {
    this.#left = bytes
    this.#enough = enough
  }

  get left(): number {
    return this.#left
  }

  wants(): Wants {
    return this.#left > 0 ? 'anything' : 'nothing'
  }

  memory(): undefined {}

  arrived(bytes: number): number {
    this.#left -= bytes
    if (this.#left <= 0) this.#enough()
    return bytes
  }

  end(): void {}
}
