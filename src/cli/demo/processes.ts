/** Starts the demo's processes and reads their messages. */

import { type ChildProcess, fork } from 'node:child_process'

import { CliError } from '../exit.ts'
import type { Job, JobMessage } from './job.ts'

const CHILD = new URL('./child.js', import.meta.url)

/**
 * Starts a process and resolves with the first message that `wanted` accepts. The signal and a
 * failure end the process. Rejects with CHILD_FAILED.
 */
export function start<T>(
  job: Job,
  signal: AbortSignal,
  wanted: (message: JobMessage) => T | undefined,
): Promise<{ readonly child: ChildProcess; readonly answer: T }> {
  const child = fork(CHILD, [JSON.stringify(job)], { execArgv: [] })
  const kill = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  if (signal.aborted) kill()
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void =>
      reject(new CliError('CHILD_FAILED', `The ${job.role} process ${reason}`))
    child.on('message', (message: JobMessage) => {
      const answer = wanted(message)
      if (answer !== undefined) resolve({ child, answer })
      if (message.kind === 'failed') {
        fail(`failed: ${message.error.code}: ${message.error.message}`)
        kill()
      }
    })
    child.once('error', (error) => fail(`cannot be started: ${error.message}`))
    child.once('exit', (code, killer) => {
      signal.removeEventListener('abort', kill)
      fail(`ended with ${killer ?? `code ${code}`} before it was done.`)
    })
  })
}
