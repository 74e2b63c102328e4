/**
 * One test, from the client's cookie to the results. Follows iperf3's sequence of states, with a limit on
 * every wait.
 *
 *   paramExchange → createStreams → testStart → testRunning → (client) testEnd
 *                 → exchangeResults → displayResults → (client) iperfDone
 */

import type { ControlChannel } from './control.ts'
import { Ending, failureEnding, terminatedEnding } from './ending.ts'
import { drain, watchTest } from './finish.ts'
import {
  type IntervalSample,
  type Measurement,
  type Meter,
  NOTHING_MEASURED,
  startMeter,
} from './meter.ts'
import { type Parameters, parseParameters } from './parameters.ts'
import {
  ClientError,
  encodeError,
  encodeJson,
  encodeState,
  PARAMETERS_LIMIT_BYTES,
  RESULTS_LIMIT_BYTES,
  SentErrno,
  State,
  streamId,
} from './protocol.ts'
import { Report } from './report.ts'
import { parseResults, resultsJson, type SenderResults } from './results.ts'
import { DataStream } from './stream.ts'
import type { Iperf3Summary, Measured } from './summary.ts'
import { ifWithin, type Timeouts, within } from './timing.ts'
import type { Address } from './transport.ts'

export interface SessionEvents {
  /** Called when all streams are open and the client may send. */
  readonly onStart?: ((client: Address, parameters: Parameters) => void) | undefined
  /** Called about once a second while a test runs. */
  readonly onInterval?: ((sample: IntervalSample) => void) | undefined
}

export class TestSession {
  readonly cookie: string
  readonly #control: ControlChannel
  readonly #timeouts: Timeouts
  readonly #events: SessionEvents
  readonly #streams: DataStream[] = []
  /** Rejects when the test must end. */
  readonly #stopped: Promise<never>
  #stop: (ending: Ending) => void = () => undefined
  #onAllJoined: () => void = () => undefined
  /** Streams still to come, or 0 unless they are being created. */
  #missing = 0
  /** The client's message after the streams were created, or the end of its connection. */
  #lastWord: Promise<void> | undefined
  #parameters: Parameters | undefined
  #meter: Meter | undefined
  #measurement: Measurement = NOTHING_MEASURED
  readonly #report = new Report()

  constructor(cookie: string, control: ControlChannel, timeouts: Timeouts, events: SessionEvents) {
    this.cookie = cookie
    this.#control = control
    this.#timeouts = timeouts
    this.#events = events
    this.#stopped = new Promise((_, reject) => {
      this.#stop = reject
    })
    this.#stopped.catch(() => undefined)
  }

  /**
   * Takes a data connection with this test's cookie. Returns false if none is expected. The caller
   * then keeps it.
   */
  join(channel: ControlChannel, order: number): boolean {
    if (this.#missing === 0) return false
    this.#streams.push(new DataStream(channel.connection, order, channel.takeRest()))
    this.#missing -= 1
    if (this.#missing === 0) this.#onAllJoined()
    return true
  }

  /** Ends the test with the message that the server has terminated. */
  stop(reason: string): void {
    this.#stop(terminatedEnding(reason))
  }

  /**
   * Runs the test. Never rejects. When it settles, its streams are closed. The control connection stays
   * open.
   */
  async run(): Promise<Iperf3Summary> {
    try {
      const sender = await this.#steps()
      return { kind: 'completed', sender, ...this.#measured() }
    } catch (error) {
      this.#measurement = this.#meter?.stop() ?? this.#measurement
      const ending =
        error instanceof Ending
          ? error
          : new Ending('failed', `the control connection broke: ${messageOf(error)}`)
      await this.#tell(ending)
      return {
        kind: ending.kind,
        reason: [ending.message, ...this.#brokenStreams()].join('; '),
        ...this.#measured(),
      }
    } finally {
      this.#missing = 0
      await this.#closeStreams()
    }
  }

  async #steps(): Promise<SenderResults> {
    await this.#step(this.#control.send(encodeState(State.paramExchange)))
    const parsed = parseParameters(
      await this.#text(PARAMETERS_LIMIT_BYTES, ClientError.receiveParameters),
    )
    if (parsed.kind === 'refused') {
      const { reason, error, errno } = parsed.refusal
      throw new Ending('refused', reason, encodeError(error, errno))
    }
    const { parameters } = parsed
    this.#parameters = parameters

    this.#missing = parameters.streams
    const allJoined = new Promise<void>((resolve) => {
      this.#onAllJoined = resolve
    })
    await this.#step(this.#control.send(encodeState(State.createStreams)))
    // The client's next message ends the test. If the client leaves, this settles first.
    const toldToEnd = this.#untilTestEnd()
    toldToEnd.catch(() => undefined)
    this.#lastWord = toldToEnd
    const incomplete = () =>
      failureEnding(
        `${this.#missing} of ${parameters.streams} streams did not come`,
        ClientError.acceptStream,
        SentErrno.timedOut,
      )
    await this.#step(Promise.race([allJoined, toldToEnd]), incomplete)
    if (this.#missing > 0) throw incomplete()
    this.#streams.sort((a, b) => a.order - b.order)
    await this.#step(this.#prepareStreams())

    const meter = startMeter(this.#streams, parameters.omitSeconds, (sample) =>
      this.#onInterval(sample),
    )
    this.#meter = meter
    for (const stream of this.#streams) stream.start()
    this.#events.onStart?.(this.#control.connection.remoteAddress, parameters)
    await this.#step(
      this.#control.send(encodeState(State.testStart), encodeState(State.testRunning)),
    )
    const unwatch = watchTest(meter, parameters, this.#timeouts, this.#stop)
    await Promise.race([toldToEnd, this.#stopped]).finally(unwatch)
    const at = await drain(meter, parameters, this.#timeouts.stepMs)
    this.#meter = undefined
    this.#measurement = meter.stop(at)
    await this.#closeStreams()
    return await this.#exchangeResults(parameters)
  }

  async #prepareStreams(): Promise<void> {
    try {
      await Promise.all(this.#streams.map(({ connection }) => connection.dataFollows?.()))
    } catch (error) {
      throw failureEnding(`a stream cannot begin: ${messageOf(error)}`, ClientError.acceptStream)
    }
  }

  async #exchangeResults(parameters: Parameters): Promise<SenderResults> {
    await this.#step(this.#control.send(encodeState(State.exchangeResults)))
    const sender = parseResults(await this.#text(RESULTS_LIMIT_BYTES, ClientError.receiveResults))
    if (sender === undefined) {
      throw failureEnding(
        "the client's results are not those of a test",
        ClientError.receiveResults,
        SentErrno.invalid,
      )
    }
    const serverOutput = parameters.serverOutput ? this.#report.text(this.#measurement) : undefined
    const results = resultsJson({ ...this.#measurement, serverOutput })
    await this.#step(this.#control.send(encodeJson(results), encodeState(State.displayResults)))
    return sender
  }

  /** Resolves when the client has sent its data. */
  async #untilTestEnd(): Promise<void> {
    const state = await this.#control.readState()
    if (state === State.testEnd) return
    if (state === undefined) throw new Ending('failed', 'the client closed the control connection')
    if (state === State.clientTerminate) throw new Ending('terminated', 'the client has terminated')
    throw failureEnding(
      `the client sent state ${state} during the test`,
      ClientError.unknownMessage,
    )
  }

  /** Reads one message of the client, within its time limit and unless the test is stopped. */
  #step<T>(
    answer: Promise<T>,
    late: () => Error = () => failureEnding('the client does not answer', ClientError.idle),
  ): Promise<T> {
    return within(this.#timeouts.stepMs, Promise.race([answer, this.#stopped]), late)
  }

  /** Reads a JSON text of the client. */
  async #text(limitBytes: number, error: ClientError): Promise<string> {
    const text = await this.#step(this.#control.readJson(limitBytes))
    if (text === undefined)
      throw failureEnding(
        `the client closed the connection, or announced over ${limitBytes} bytes`,
        error,
        SentErrno.invalid,
      )
    return text
  }

  async #tell({ farewell }: Ending): Promise<void> {
    if (farewell === undefined) return
    // Streams are received until the client leaves. A client that writes to a closed stream would
    // report that, and not this error.
    const told = this.#control.send(farewell).then(() => this.#lastWord)
    await ifWithin(this.#timeouts.lingerMs, told)
  }

  #onInterval(sample: IntervalSample): void {
    if (this.#parameters?.serverOutput === true) this.#report.add(sample)
    this.#events.onInterval?.(sample)
  }

  async #closeStreams(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.stop()))
  }

  #brokenStreams(): string[] {
    return this.#streams.flatMap(({ failure: reason }, i) =>
      reason === undefined ? [] : [`stream ${streamId(i)}: ${reason}`],
    )
  }

  #measured(): Measured {
    const client = this.#control.connection.remoteAddress
    return { client, parameters: this.#parameters, ...this.#measurement }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
