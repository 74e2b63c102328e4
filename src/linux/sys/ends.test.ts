// Threads and processes that end while they watch, or in the middle of calls: at once, without a
// descriptor left, and without a word of the engine's.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { EFD_NONBLOCK, eventfd } from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const script = new URL('./busy.test.worker.js', import.meta.url)
/** A thread blocked in poll(2) took eight seconds. Of three attempts one has the machine to itself. */
const LIMIT_MS = 500

const descriptors = (): number => readdirSync('/proc/self/fd').length

async function fastest(attempt: () => Promise<number>): Promise<number> {
  return Math.min(await attempt(), await attempt(), await attempt())
}

async function startWorker(mode: string): Promise<Worker> {
  const worker = new Worker(script, { workerData: mode })
  await once(worker, 'message')
  return worker
}

describe('a worker that watches', { skip }, () => {
  for (const mode of ['idle', 'work', 'storm']) {
    it(`is terminated at once (${mode})`, async () => {
      await (await startWorker(mode)).terminate()
      const before = descriptors()
      const ms = await fastest(async () => {
        const worker = await startWorker(mode)
        const start = performance.now()
        await worker.terminate()
        return performance.now() - start
      })
      assert.ok(ms < LIMIT_MS, `took ${ms} ms`)
      assert.equal(descriptors(), before)
    })
  }

  it('may end by itself', async () => {
    const before = descriptors()
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
    assert.equal(descriptors(), before)
  })

  it('is terminated 30 times in the middle of its calls', async () => {
    const before = descriptors()
    for (let round = 0; round < 10; round++) {
      const workers = await Promise.all(['work', 'storm', 'idle'].map(startWorker))
      await Promise.all(workers.map((worker) => worker.terminate()))
    }
    assert.equal(descriptors(), before)
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
      const ms = await fastest(async () => {
        const child = spawn(process.execPath, [script.pathname, mode], {
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let errors = ''
        child.stderr.on('data', (text) => {
          errors += text
        })
        await once(child.stdout, 'data')
        const start = performance.now()
        if (signal !== null) child.kill(signal)
        assert.deepEqual(await once(child, 'close'), [code, signal], errors)
        if (mode !== 'throw') assert.equal(errors, '')
        return performance.now() - start
      })
      assert.ok(ms < LIMIT_MS, `took ${ms} ms`)
    })
  }
})

it('10,000 descriptors are opened and closed without a byte left', { skip }, async () => {
  const some = (count: number): void => {
    for (let n = 0; n < count; n++) eventfd(0, EFD_NONBLOCK).close()
  }
  const used = (): number => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  }
  some(1000)
  const [fds, bytes] = [descriptors(), used()]
  some(10_000)
  assert.equal(descriptors(), fds)
  assert.ok(used() - bytes < 200_000, `${used() - bytes} bytes`)
})
