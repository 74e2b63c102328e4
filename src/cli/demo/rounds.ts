/** The course of the demo: the sender, then round after round one receiver after another. */

import { CliError } from '../exit.ts'
import type { Output } from '../output.ts'
import type { DemoOptions, ReceiverJob, ReceiverName, RunMeasurement } from './job.ts'
import { start } from './processes.ts'

/** Measurements of each receiver, by round. */
export type Measurements = ReadonlyMap<ReceiverName, readonly RunMeasurement[]>

/**
 * Measures the named receivers, one at a time. After an abort it resolves with the measurements so
 * far. Rejects with CHILD_FAILED, and with WRONG_DATA or WRONG_LENGTH when verification fails.
 */
export async function measureRounds(
  names: readonly ReceiverName[],
  options: DemoOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Measurements> {
  const measured = new Map<ReceiverName, RunMeasurement[]>(names.map((name) => [name, []]))
  try {
    const sender = await start({ role: 'sender', options }, signal, (message) =>
      message.kind === 'listening' ? message.port : undefined,
    )
    try {
      for (let round = 1; round <= options.rounds; round++) {
        for (const [role, measurements] of measured) {
          const job = { role, options, port: sender.answer, live: output.live }
          const label = `round ${round}/${options.rounds}: ${role}`
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
  const { bytes } = job.options
  let received = 0
  const stop = output.progress({ label, totalBytes: bytes, bytes: () => received })
  try {
    const { answer } = await start(job, signal, (message) => {
      if (message.kind === 'progress') received = message.bytes
      return message.kind === 'done' ? message.measurement : undefined
    })
    if (answer.firstWrong !== undefined) {
      throw new CliError('WRONG_DATA', `Byte ${answer.firstWrong} was received wrong (${label}).`)
    }
    if (answer.bytes !== bytes) {
      const message = `${answer.bytes} of ${bytes} bytes were received (${label}).`
      throw new CliError('WRONG_LENGTH', message)
    }
    return answer
  } finally {
    stop()
  }
}
