/** The course of the demo: the sender, then round after round one receiver after another. */

import { CliError } from '../exit.ts'
import type { PoolOptions } from '../options.ts'
import type { Output } from '../output.ts'
import type { ReceiverJob, ReceiverName, RunMeasurement, SenderJob } from './job.ts'
import { start } from './processes.ts'

/** Settings of a demo. */
export interface DemoSettings {
  readonly bytes: number
  readonly rounds: number
  readonly pattern: number
  readonly pool: PoolOptions
  readonly destination: number
  /** Offset of a byte to send wrong, to see that it is noticed. */
  readonly corrupt: number | undefined
}

/** Measurements of each receiver, by round. */
export type Measurements = ReadonlyMap<ReceiverName, readonly RunMeasurement[]>

/**
 * Measures the named receivers, one at a time. After an abort it resolves with the measurements so
 * far. Rejects with CHILD_FAILED, and with WRONG_DATA or WRONG_LENGTH when verification fails.
 */
export async function measureRounds(
  names: readonly ReceiverName[],
  settings: DemoSettings,
  output: Output,
  signal: AbortSignal,
): Promise<Measurements> {
  const { bytes, pattern: seed, corrupt, destination } = settings
  const senderJob: SenderJob = { role: 'sender', bytes, seed, corrupt }
  const measured = new Map<ReceiverName, RunMeasurement[]>(names.map((name) => [name, []]))
  try {
    const sender = await start(senderJob, signal, (message) =>
      message.kind === 'listening' ? message.port : undefined,
    )
    try {
      for (let round = 1; round <= settings.rounds; round++) {
        for (const [name, measurements] of measured) {
          const job: ReceiverJob = {
            role: name,
            port: sender.answer,
            bytes,
            seed,
            pool: settings.pool,
            destinationBytes: Math.min(destination, bytes),
            live: output.live,
          }
          const label = `round ${round}/${settings.rounds}: ${name}`
          measurements.push(await receive(label, job, output, signal))
        }
      }
    } finally {
      sender.child.kill('SIGKILL')
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return measured
}

/** Measures one receiver once. */
async function receive(
  label: string,
  job: ReceiverJob,
  output: Output,
  signal: AbortSignal,
): Promise<RunMeasurement> {
  let received = 0
  const stop = output.progress({ label, totalBytes: job.bytes, bytes: () => received })
  try {
    const { answer } = await start(job, signal, (message) => {
      if (message.kind === 'progress') received = message.bytes
      return message.kind === 'done' ? message.measurement : undefined
    })
    if (answer.firstWrong !== undefined) {
      throw new CliError('WRONG_DATA', `Byte ${answer.firstWrong} was received wrong (${label}).`)
    }
    if (answer.bytes !== job.bytes) {
      throw new CliError(
        'WRONG_LENGTH',
        `${answer.bytes} of ${job.bytes} bytes were received (${label}).`,
      )
    }
    return answer
  } finally {
    stop()
  }
}
