// Limits on the pages and copies that connections hold.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostFrag } from '../../pool/frag.ts'
import { pattern, same, until, ways, withEnds } from '../harness.test.helper.ts'

const small = 16_384
const pageSize = 65_536

for (const way of ways()) {
  test(
    `short reads that the application holds are bounded, and continue when released (${way.name})`,
    {
      skip: way.skip,
    },
    () =>
      withEnds(
        way,
        async ({ connection, peer, pool }) => {
          const { limit } = pool.stats().copied
          assert.equal(limit, pool.capacity * pageSize)
          const total = 6 * limit
          const held: HostFrag[] = []
          let arrived = 0
          let checked = 0
          // Pieces go one after the other, so that each is a short read.
          const sendNext = (): void => {
            if (arrived < total) peer.write(pattern(arrived, Math.min(12_000, total - arrived)))
            else peer.end()
          }
          const received = (async () => {
            for await (const frag of connection) {
              held.push(frag)
              arrived += frag.length
              assert.ok(pool.stats().copied.bytes_out <= limit + small, 'copies are bounded')
              sendNext()
            }
          })()
          const release = (): void => {
            for (const frag of held.splice(0)) {
              same(frag.bytes, checked)
              checked += frag.length
              frag.release()
            }
          }
          sendNext()
          while (arrived < total) {
            const full = (): boolean => pool.available === 0 && pool.copies.copyRoom < small
            await until(() => full() || arrived === total, 'its memory is used up')
            release()
          }
          await received
          release()
          assert.equal(checked, total)
        },
        { pages: 4, pageSize },
      ),
  )
}
