/** The receiver that shows bytes in the driver's buffer: a small message costs no frag and no promise. */

import type { Viewer } from '../../connection.ts'
import type { Receiver, Wants } from './receiver.ts'

export class View implements Receiver {
  readonly left: number = Number.POSITIVE_INFINITY
  readonly #viewer: Viewer

  constructor(viewer: Viewer) {
    this.#viewer = viewer
  }

  wants(): Wants {
    return 'anything'
  }

  memory(): undefined {}

  arrived(bytes: number, buffer: Uint8Array | undefined): number {
    return buffer === undefined ? 0 : this.#viewer.view(buffer.subarray(0, bytes))
  }

  end(error: Error | undefined): void {
    this.#viewer.viewEnded(error)
  }
}
