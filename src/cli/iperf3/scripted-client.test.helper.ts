/**
 * Runs a server over connections in memory, where the test is the client and can misbehave as
 * it likes.
 */

import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { turns, VirtualClock } from '../../testing/waiting.test.helper.ts'
import { encodeJson, State } from './protocol.ts'
import { type Iperf3Options, serveIperf3 } from './server.ts'
import type { Iperf3Summary } from './summary.ts'
import type { StreamFrag, Transport } from './transport.ts'

/** A connection without a network: the test is the client. */
export class Peer implements Transport {
  static held = 0
  readonly remoteAddress = { host: '192.0.2.1', port: 49_152 }
  closed = false
  /** Answer to {@link dataFollows}. */
  onDataFollows: () => Promise<void> = () => Promise.resolve()
  readonly #incoming: (Uint8Array | Error | 'fin')[] = []
  readonly #written: number[] = []
  #wake: () => void = () => undefined

  /** Client to server. */
  say(...what: (number | string | Uint8Array | Error)[]): void {
    for (const item of what) {
      if (typeof item === 'number') this.#incoming.push(Uint8Array.of(item & 0xff))
      else
        this.#incoming.push(
          item === 'fin' ? item : typeof item === 'string' ? new TextEncoder().encode(item) : item,
        )
    }
    this.#wake()
  }

  /** Waits for the server's next bytes. Returns fewer if it closes. */
  async heard(count: number): Promise<number[]> {
    while (this.#written.length < count && !this.closed) await sleep(1)
    return this.#written.splice(0, count).map((byte) => (byte << 24) >> 24)
  }

  async gone(): Promise<void> {
    while (!this.closed) await sleep(1)
  }

  async receive(): Promise<StreamFrag | undefined> {
    for (;;) {
      if (this.closed) return undefined
      if (this.#incoming[0] === 'fin') return undefined
      const next = this.#incoming.shift()
      if (next instanceof Error) throw next
      if (next !== undefined && next !== 'fin') return frag(next)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.closed) throw new Error('written after the end')
    this.#written.push(...bytes)
  }

  async end(): Promise<void> {}

  dataFollows(): Promise<void> {
    return this.onDataFollows()
  }

  destroy(): void {
    this.closed = true
    this.#wake()
  }
}

function frag(bytes: Uint8Array): StreamFrag {
  let released = false
  Peer.held += 1
  return {
    bytes,
    length: bytes.length,
    release: () => {
      if (!released) Peer.held -= 1
      released = true
    },
  }
}

export const COOKIE: string = `${'a'.repeat(36)}\0`
export const OTHER: string = `${'b'.repeat(36)}\0`
export const ask = (fields = {}): Uint8Array =>
  encodeJson(JSON.stringify({ tcp: true, time: 1, parallel: 1, ...fields }))
export const RESULTS: Uint8Array = encodeJson(
  JSON.stringify({ cpu_util_total: 1, streams: [{ id: 1, bytes: 3, retransmits: 0 }] }),
)

/**
 * A server and its clients. Time passes for the server by a few milliseconds after each turn of
 * theirs, so that no limit is over because the machine is busy.
 */
export class Bench {
  readonly summaries: Iperf3Summary[] = []
  readonly done: Promise<void>
  readonly #peers: Peer[] = []
  #over = false
  #done = false

  constructor(options: Iperf3Options = {}) {
    const timeouts = {
      cookieMs: 400,
      stepMs: 400,
      idleMs: 400,
      graceMs: 400,
      lingerMs: 20,
      ...options.timeouts,
    }
    const clock = new VirtualClock({ mock })
    this.done = this.#serve({ ...options, timeouts })
    void this.#passTime(clock)
  }

  connect(...first: (string | Uint8Array)[]): Peer {
    const peer = new Peer()
    peer.say(...first)
    this.#peers.push(peer)
    return peer
  }

  /** A client whose streams are open and whose test runs. */
  async running(fields = {}): Promise<{ control: Peer; data: Peer }> {
    const control = this.connect(COOKIE, ask(fields))
    assert.deepEqual(await control.heard(2), [State.paramExchange, State.createStreams])
    const data = this.connect(COOKIE)
    assert.deepEqual(await control.heard(2), [State.testStart, State.testRunning])
    return { control, data }
  }

  /** Ends the connections. Nothing may be left, also after an error. */
  async end(): Promise<Iperf3Summary[]> {
    this.#over = true
    await this.done
    this.#done = true
    mock.restoreAll()
    assert.ok(
      this.#peers.every((peer) => peer.closed),
      'a connection is open',
    )
    assert.equal(Peer.held, 0, 'fragments are held')
    return this.summaries
  }

  async #passTime(clock: VirtualClock): Promise<void> {
    while (!this.#done) {
      await sleep(1)
      await turns()
      clock.advance(5)
    }
  }

  async #serve(options: Iperf3Options): Promise<void> {
    for await (const summary of serveIperf3(this.#arrivals(), options)) this.summaries.push(summary)
  }

  async *#arrivals(): AsyncGenerator<Transport> {
    for (let next = 0; !this.#over || next < this.#peers.length; ) {
      const peer = this.#peers[next]
      if (peer === undefined) await sleep(1)
      else {
        next += 1
        yield peer
      }
    }
  }
}

/** Lets one scenario run, and returns the one summary it ends in. */
export async function outcome(
  scenario: (bench: Bench) => Promise<void>,
  options?: Iperf3Options,
): Promise<Iperf3Summary> {
  const bench = new Bench(options)
  await scenario(bench)
  while (bench.summaries.length === 0) await sleep(1)
  const [summary, ...more] = await bench.end()
  assert.ok(summary)
  assert.deepEqual(more, [])
  return summary
}
