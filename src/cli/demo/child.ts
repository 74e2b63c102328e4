/**
 * A process of the demo: the sender, or one receiver. Started by `processes.ts` with its job as the
 * argument.
 */

import { describeError } from '../exit.ts'
import { type Job, type JobMessage, measure } from './job.ts'
import { receivers } from './receivers.ts'
import { serveReceiver } from './sender.ts'

const job: Job = JSON.parse(process.argv[2] ?? '')

// The parent has ended.
process.once('disconnect', () => process.exit(1))
// Ctrl-C reaches the whole group. The parent ends this process afterwards.
process.on('SIGINT', () => undefined)

function tell(message: JobMessage): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, () => resolve())
  })
}

try {
  if (job.role === 'sender') {
    await tell({ kind: 'listening', port: await serveReceiver(job) })
  } else {
    const measurement = await measure(job, receivers[job.role].receive, (bytes) => {
      void tell({ kind: 'progress', bytes })
    })
    await tell({ kind: 'done', measurement })
    process.disconnect()
  }
} catch (error) {
  await tell({ kind: 'failed', error: describeError(error) })
  process.disconnect()
}
