import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { content, sha256 } from '../../http.test.helper.ts'
import { MemoryDigest, streamDigest } from './digest.ts'
import { HashThread } from './hash-thread.ts'

const BIG = undefined
const SMALL = 1000
const cuts = fc.array(fc.integer({ min: 1, max: 900_000 }), { minLength: 1, maxLength: 8 })

describe('digests', () => {
  for (const [where, length] of [
    ['a thread', BIG],
    ['this thread', SMALL],
  ] as const) {
    it(`of what passes by, in ${where}, are those of the whole`, async () => {
      await fc.assert(
        fc.asyncProperty(cuts, async (sizes) => {
          const digest = streamDigest(length)
          let at = 0
          for (const size of sizes) {
            // A copy that is gone at once: what is not copied by then is not hashed.
            const piece = Buffer.from(content.subarray(at, at + size))
            await digest.update(piece)
            piece.fill(0)
            at = Math.min(content.length, at + size)
          }
          assert.equal(await digest.hex(), sha256(content.subarray(0, at)))
        }),
        { numRuns: 15 },
      )
    })

    for (const memory of [ArrayBuffer, SharedArrayBuffer]) {
      it(`of ${memory.name} that fills, in ${where}, are those of what is in it then`, async () => {
        await fc.assert(
          fc.asyncProperty(cuts, fc.nat(5000), async (sizes, offset) => {
            const view = new Uint8Array(new memory(content.length + offset), offset)
            const digest = new MemoryDigest(view, length)
            let at = 0
            for (const size of sizes) {
              view.set(content.subarray(at, at + size), at)
              at = Math.min(content.length, at + size)
              digest.advance(at)
              if (size % 2 === 0) await sleep(0)
            }
            assert.equal(await digest.hex(at), sha256(content.subarray(0, at)))
          }),
          { numRuns: 15 },
        )
      })
    }
  }

  for (const [where, length] of [
    ['a thread', BIG],
    ['this thread', SMALL],
  ] as const) {
    it(`of memory that is detached during the transfer, in ${where}, stop before it`, async () => {
      const view = new Uint8Array(content)
      const digest = new MemoryDigest(view, length)
      digest.advance(content.length)
      structuredClone(view.buffer, { transfer: [view.buffer] })
      digest.advance(content.length)
      assert.match(await digest.hex(content.length), /^[0-9a-f]{64}$/)
    })
  }

  it('are an error of their own when their thread ends', async () => {
    const thread = HashThread.take()
    assert.ok(thread !== undefined, 'this machine has a core to spare')
    const digest = thread.begin(new SharedArrayBuffer(10))
    await digest.update(new Uint8Array(11))
    await assert.rejects(digest.hex(), { code: 'NETMEM_DIGEST_FAILED', name: 'HttpError' })
  })

  it('are computed by a thread again as soon as one has been dropped', () => {
    for (let i = 0; i < 3; i++) {
      const thread = HashThread.take()
      assert.ok(thread !== undefined, `thread ${i}`)
      thread.begin().drop()
    }
  })

  it('are computed side by side, by more than there are threads', async () => {
    const digests = Array.from({ length: 12 }, () => streamDigest(undefined))
    await Promise.all(digests.map(async (digest, i) => digest.update(content.subarray(i))))
    const hex = await Promise.all(digests.map((digest) => digest.hex()))
    assert.deepEqual(
      hex,
      digests.map((_, i) => sha256(content.subarray(i))),
    )
  })

  it('may be dropped at any time, and end no other', async () => {
    for (let i = 0; i < 5; i++) {
      const first = streamDigest(undefined)
      await first.update(content)
      first.drop()
      first.drop()
      const second = streamDigest(undefined)
      await second.update(content)
      assert.equal(await second.hex(), sha256(content))
      second.drop()
      const third = streamDigest(undefined)
      second.drop()
      await third.update(content)
      assert.equal(await third.hex(), sha256(content))
    }
  })
})

describe('a process that has got something', () => {
  it('ends at once, with connections and threads at rest', () => {
    const program = `
      import http from 'node:http'
      import { getInto } from '${new URL('../../index.js', import.meta.url).href}'
      const handler = (_, response) => response.end(Buffer.alloc(5_000_000))
      // The server keeps its side of the connection open for ten minutes.
      const server = http.createServer({ keepAliveTimeout: 600_000 }, handler)
      server.listen(0, '127.0.0.1', async () => {
        const memory = new Uint8Array(5_000_000)
        await getInto('http://127.0.0.1:' + server.address().port, memory, { sha256: true })
        server.close()
        server.unref()
        console.log('done')
        setTimeout(() => console.log('still there'), 60_000).unref()
      })`
    const { stdout, status, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', program],
      { encoding: 'utf8' },
    )
    assert.deepEqual([stdout, status], ['done\n', 0], stderr)
  })
})
