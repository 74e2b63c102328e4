// A pool whose frags the application keeps: a transfer into it ends, and says why.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { DryReport } from '../../pool/dry-report.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { settled, turns, until, VirtualClock } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import { content, failure, ranged, serve, withPool } from '../http.test.helper.ts'

for (const decompress of [false, true]) {
  const by = decompress ? 'a decoder' : 'a connection'

  test(`getInto into a pool whose onFrag keeps everything obeys stallTimeoutMs, by ${by}`, async (t) => {
    await using server = await serve((request, response) => ranged(request, response))
    await withPool(async (pool) => {
      const clock = new VirtualClock(t)
      const held: HostFrag[] = []
      const onFrag = (frag: HostFrag): void => void held.push(frag)
      const options = { decompress, keepAlive: false, stallTimeoutMs: 50, retryDelayMs: 1 }
      let ended = false
      const failed = failure(getInto(server.url, { pool, onFrag }, options)).finally(() => {
        ended = true
      })
      // A busy machine would look like a silent server before that.
      await until(() => pool.available === 0, 'the pool is dry')
      for (; !ended; clock.advance(50)) await turns()
      const error = await failed
      assert.equal(error.code, 'NETMEM_POOL_DRY')
      assert.match(error.message, /pool.*onFrag/)
      for (const frag of held) frag.release()
    })
  })

  test(`getInto waits as long as memory comes back, by ${by}`, async (t) => {
    await using server = await serve((request, response) => ranged(request, response))
    await withPool(async (pool) => {
      const clock = new VirtualClock(t)
      const held: HostFrag[] = []
      let bytes = 0
      const onFrag = (frag: HostFrag): void => {
        bytes += frag.length
        held.push(frag)
      }
      const options = { decompress, keepAlive: false, stallTimeoutMs: 100, retries: 0 }
      let ended = false
      const got = getInto(server.url, { pool, onFrag }, options).finally(() => {
        ended = true
      })
      // A page comes back in less than the limit. All of them take longer.
      let waits = 0
      while (!ended) {
        await settled(() => held.length)
        if (ended || pool.available > 0) continue
        clock.advance(60)
        waits++
        while (pool.available === 0) held.shift()?.release()
      }
      await got
      assert.ok(waits > 2)
      assert.equal(bytes, content.length)
      for (const frag of held) frag.release()
    })
  })

  test(`a pool that getInto runs dry is reported, by ${by}`, async () => {
    await using server = await serve((request, response) => ranged(request, response))
    await withPool(async (pool) => {
      const held: HostFrag[] = []
      const onFrag = (frag: HostFrag): void => void held.push(frag)
      const stop = new AbortController()
      let report: DryReport | undefined
      const listen = (published: unknown): void => {
        report ??= published as DryReport
        stop.abort()
      }
      subscribe('netmem:dry', listen)
      const options = { decompress, keepAlive: false, signal: stop.signal }
      const error = await failure(getInto(server.url, { pool, onFrag }, options))
      unsubscribe('netmem:dry', listen)
      assert.equal(error.code, 'NETMEM_ABORTED')
      assert.equal(report?.out, pool.capacity)
      assert.equal(report?.waiting, 1)
      for (const frag of held) frag.release()
    })
  })
}
