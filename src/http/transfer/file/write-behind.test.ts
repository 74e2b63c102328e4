import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { copiedFrag } from '../../../pool/frag.ts'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { withPool } from '../../http.test.helper.ts'
import { WriteBehind } from './write-behind.ts'

describe('writing behind', () => {
  it('writes all, in order and once, while more arrives', () =>
    withPool(async (pool) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 200 }),
          fc.nat(1000),
          async (pieces, start) => {
            const file: number[] = []
            let told = 0
            let calls = 0
            const write = async (views: Uint8Array[], position: number): Promise<void> => {
              assert.equal(position, start + file.length)
              calls++
              await new Promise((resolve) => setImmediate(resolve))
              for (const view of views) file.push(...view)
            }
            const behind = new WriteBehind(start, write, (position) => {
              told = position - start
              assert.equal(told, file.length)
            })
            for (const piece of pieces) await behind.add(copiedFrag(pool, piece))
            await behind.end()
            assert.deepEqual(
              file,
              pieces.flatMap((piece) => [...piece]),
            )
            assert.equal(told, file.length)
            assert.ok(calls <= Math.ceil(pieces.length / 64) + 1, `${calls} calls`)
          },
        ),
        { numRuns: 50 },
      )
    }))

  it('fails with what writing does, and gives back everything', () =>
    withPool(async (pool) => {
      const wrong = new Error('full')
      let calls = 0
      const write = async (): Promise<void> => {
        if (++calls === 2) throw wrong
      }
      const behind = new WriteBehind(0, write, () => {})
      await assert.rejects(async () => {
        for (let i = 0; i < 1000; i++) await behind.add(copiedFrag(pool, new Uint8Array(10)))
      }, wrong)
      await assert.rejects(behind.end(), wrong)
      assert.equal(calls, 2)
      assert.equal(pool.stats().copied.bytes_out, 0)
    }))
})
