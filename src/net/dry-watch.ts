/** What a pool does for connections that wait for its memory: it keeps the process alive for them. */

/** Any interval would do, since nothing happens when it is over. */
const LOOK_MS = 1000

export class DryWatch {
  #timer: NodeJS.Timeout | undefined

  /**
   * Keeps the event loop running, or not any more. A paused socket does not: without a reference of
   * its own, a program that waits for memory would end with exit code 0.
   */
  keepAlive(wanted: boolean): void {
    if (wanted) {
      this.#timer ??= setInterval(() => {}, LOOK_MS)
      this.#timer.ref()
    } else {
      this.#timer?.unref()
    }
  }
}
