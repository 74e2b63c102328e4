/**
 * How long a TLS handshake took. `tls.connect` says when it is done, and nothing of the TCP
 * connection before; Node's performance entries of kind `net` have that (PerformanceObserver).
 */

import { PerformanceObserver } from 'node:perf_hooks'

export class TlsTimer {
  #connectedAt: number | undefined
  readonly #observer: PerformanceObserver

  /** Waits for a TCP connection to this address; of several at once it may be another one's. */
  constructor(port: number) {
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        if (names(entry, port)) this.#connectedAt ??= entry.startTime + entry.duration
      }
    })
    this.#observer.observe({ entryTypes: ['net'] })
  }

  /** Milliseconds since TCP connected; 0 where that was not observed. */
  elapsedMs(): number {
    return this.#connectedAt === undefined ? 0 : performance.now() - this.#connectedAt
  }

  stop(): void {
    this.#observer.disconnect()
  }
}

/** The entry names the address that was connected to, which is not the name that was asked for. */
function names(entry: object, port: number): boolean {
  const detail: unknown = Reflect.get(entry, 'detail')
  return typeof detail === 'object' && detail !== null && Reflect.get(detail, 'port') === port
}
