// Threads and processes that end while they watch, or in the middle of calls: at once, without a
// descriptor left, and without a word of the engine's.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { firstOutput } from '../../testing/processes.test.helper.ts'
import { rounds } from '../../testing/rounds.test.helper.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const script = new URL('./busy.test.worker.js', import.meta.url)
/** A thread blocked in poll(2) held up its end for eight seconds, or for ever. */
const LIMIT_MS = 3000

/** Starts a thread that does nothing, ends it, and returns the milliseconds that took. */
async function endThread(): Promise<number> {
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true })
  await once(worker, 'online')
  const start = performance.now()
  await worker.terminate()
  return performance.now() - start
}

/** Program that says it runs, and ends when it is told to. */
const END_WHEN_TOLD = "console.log(); process.stdin.once('data', () => process.exit())"

/** Starts a process that does nothing, ends it, and returns the milliseconds that took. */
async function endProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', END_WHEN_TOLD], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await firstOutput(child)
  child.stdin.write('end')
  const start = performance.now()
  await once(child, 'close')
  return performance.now() - start
}

/**
 * Asserts that an end takes less than the limit. Of three attempts one has the machine to itself. Where
 * the processor is emulated, the limit is what the end of a thread or process takes that does nothing.
 */
async function endsInTime(
  end: () => Promise<number>,
  endNothing: () => Promise<number>,
): Promise<void> {
  let ms = Number.POSITIVE_INFINITY
  for (let attempts = 0; attempts < 3; attempts++) {
    ms = Math.min(ms, await end())
    if (ms < LIMIT_MS) return
  }
  const idle = await endNothing()
  assert.ok(ms < 3 * idle, `took ${ms} ms; without a watch it takes ${idle} ms`)
}

async function startWorker(mode: string): Promise<Worker> {
  const worker = new Worker(script, { workerData: mode })
  await once(worker, 'message')
  return worker
}

describe('a worker that watches', { skip }, () => {
  for (const mode of ['idle', 'work', 'storm']) {
    it(`is terminated at once (${mode})`, async () => {
      const before = openDescriptors()
      await endsInTime(async () => {
        const worker = await startWorker(mode)
        const start = performance.now()
        await worker.terminate()
        return performance.now() - start
      }, endThread)
      await noneOpenSince(before)
    })
  }

  it('may end by itself', async () => {
    const before = openDescriptors()
    for (const mode of ['exit', 'throw', 'unref']) {
      const worker = new Worker(script, { workerData: mode })
      const failed = once(worker, 'error')
      if (mode === 'throw') {
        const [error] = await failed
        assert.equal(error.message, 'on purpose')
      } else {
        failed.catch(() => {})
        await once(worker, 'exit')
      }
      await worker.terminate()
    }
    await noneOpenSince(before)
  })

  it('is terminated in the middle of its calls, again and again', async () => {
    const before = openDescriptors()
    for (let round = 0; round < rounds(5); round++) {
      const workers = await Promise.all(['work', 'storm', 'idle'].map(startWorker))
      await Promise.all(workers.map((worker) => worker.terminate()))
    }
    await noneOpenSince(before)
  })
})

describe('a process that watches', { skip }, () => {
  const ends = [
    { mode: 'exit', code: 0, signal: null },
    { mode: 'throw', code: 1, signal: null },
    { mode: 'unref', code: 0, signal: null },
    { mode: 'idle', code: null, signal: 'SIGTERM' },
    { mode: 'storm', code: null, signal: 'SIGINT' },
  ] as const
  for (const { mode, code, signal } of ends) {
    it(`ends at once (${mode}${signal === null ? '' : `, ${signal}`})`, async () => {
      await endsInTime(async () => {
        const child = spawn(process.execPath, [script.pathname, mode], {
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let errors = ''
        child.stderr.on('data', (text) => {
          errors += text
        })
        await firstOutput(child)
        const start = performance.now()
        if (signal !== null) child.kill(signal)
        assert.deepEqual(await once(child, 'close'), [code, signal], errors)
        if (mode !== 'throw') assert.equal(errors, '')
        return performance.now() - start
      }, endProcess)
    })
  }
})
