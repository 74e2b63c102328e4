/**
 * An iperf3 server for TCP over any stream of connections. It runs one test at a time and tells other
 * clients that the server is busy. It neither listens nor prints.
 */

import { ControlChannel } from './control.ts'
import { COOKIE_BYTES, encodeState, parseCookie, State } from './protocol.ts'
import { type SessionEvents, TestSession } from './session.ts'
import type { Iperf3Summary } from './summary.ts'
import { DEFAULT_TIMEOUTS, ifWithin, type Timeouts } from './timing.ts'
import type { Transport } from './transport.ts'

export interface Iperf3Options extends SessionEvents {
  /**
   * Ends the server. The client of a running test gets a message, and the test's summary is still
   * yielded.
   */
  readonly signal?: AbortSignal | undefined
  readonly timeouts?: Partial<Timeouts> | undefined
}

/**
 * Serves iperf3 clients, and yields a summary of each test when it is over. Ends when `connections`
 * ends or the signal aborts, and when its consumer stops. All connections are closed then. The caller
 * closes the listener.
 *
 * Throws only a failure of `connections` itself. A test's summary has the client's mistakes.
 */
export async function* serveIperf3(
  connections: AsyncIterable<Transport>,
  options: Iperf3Options = {},
): AsyncGenerator<Iperf3Summary, void, void> {
  const server = new Server(options)
  const abort = () => server.stop('the server was stopped')
  options.signal?.addEventListener('abort', abort)
  if (options.signal?.aborted === true) abort()
  try {
    server.accept(connections)
    yield* server.summaries()
  } finally {
    options.signal?.removeEventListener('abort', abort)
    server.stop('the server was stopped')
    await server.settled()
  }
}

/**
 * Bound of connections without a cookie yet or being closed. Further ones are closed unread.
 */
const MAX_STRANGERS = 256

class Server {
  readonly #options: Iperf3Options
  readonly #timeouts: Timeouts
  readonly #ready: Iperf3Summary[] = []
  /** Tasks that still own a connection. */
  readonly #tasks = new Set<Promise<void>>()
  readonly #unnamed = new Set<Transport>()
  #session: TestSession | undefined
  /** Cookies of past tests: a late stream is not a new client. */
  #lastCookie: string | undefined
  #accepted = 0
  #stopped = false
  #failure: { readonly error: unknown } | undefined
  #wake: () => void = () => undefined

  constructor(options: Iperf3Options) {
    this.#options = options
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts }
  }

  /** Accepts connections until the listener ends. Not a task: an open listener never ends. */
  accept(connections: AsyncIterable<Transport>): void {
    const accepting = async () => {
      for await (const connection of connections) {
        if (this.#stopped || this.#tasks.size >= MAX_STRANGERS) connection.destroy()
        else this.#start(this.#greet(connection, this.#accepted++))
        if (this.#stopped) break
      }
    }
    void accepting()
      .catch((error: unknown) => {
        this.#failure = { error }
      })
      .then(() => this.#end())
  }

  async *summaries(): AsyncGenerator<Iperf3Summary, void, void> {
    for (;;) {
      for (let next = this.#ready.shift(); next !== undefined; next = this.#ready.shift())
        yield next
      if (this.#stopped && this.#session === undefined) break
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  stop(reason: string): void {
    this.#session?.stop(reason)
    for (const connection of this.#unnamed) connection.destroy()
    this.#end()
  }

  /** Resolves when every connection is closed. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  /** Refuses new tests. A running one continues. */
  #end(): void {
    this.#stopped = true
    this.#wake()
  }

  #start(task: Promise<void>): void {
    const tracked = task.finally(() => this.#tasks.delete(tracked))
    this.#tasks.add(tracked)
  }

  /**
   * Reads the cookie, then starts a new test, adds a stream to the running one, or refuses. Never
   * rejects.
   */
  async #greet(connection: Transport, order: number): Promise<void> {
    const control = new ControlChannel(connection)
    this.#unnamed.add(connection)
    const bytes = await ifWithin(this.#timeouts.cookieMs, control.read(COOKIE_BYTES))
    this.#unnamed.delete(connection)
    const cookie = bytes && parseCookie(bytes)
    if (cookie === undefined || (this.#stopped && this.#session === undefined)) {
      connection.destroy()
      await control.drain()
    } else if (this.#session === undefined && cookie !== this.#lastCookie) {
      await this.#runTest(cookie, control)
    } else if (this.#session?.cookie !== cookie || !this.#session.join(control, order)) {
      const { lingerMs } = this.#timeouts
      await ifWithin(lingerMs, control.send(encodeState(State.accessDenied)))
      await control.close(lingerMs)
    }
  }

  async #runTest(cookie: string, control: ControlChannel): Promise<void> {
    const session = new TestSession(cookie, control, this.#timeouts, this.#options)
    this.#session = session
    this.#lastCookie = cookie
    const summary = await session.run()
    // The next client need not wait until this one has read its results.
    this.#session = undefined
    this.#ready.push(summary)
    this.#wake()
    await control.close(this.#timeouts.lingerMs)
  }
}
