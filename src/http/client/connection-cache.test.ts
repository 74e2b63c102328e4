import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { assertCode } from '../../testing/pools.test.helper.ts'
import { turns, VirtualClock } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import { serve, transferring, withPool } from '../http.test.helper.ts'
import { ConnectionCache } from './connection-cache.ts'

/** Bodies of one byte, as many at once. */
async function getMany(url: string, count: number, options: object): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => getInto(url, new Uint8Array(1), options)))
}

describe('the connection cache', () => {
  it('keeps as many as it may, of one origin and of all', () =>
    transferring(async (options) => {
      await using a = await serve((_, response) => void turns().then(() => response.end('x')))
      await using b = await serve((_, response) => void turns().then(() => response.end('x')))
      const keepAlive = new ConnectionCache({
        maxIdlePerOrigin: 2,
        maxIdle: 3,
        idleTimeoutMs: 600_000,
      })
      await getMany(a.url, 5, { ...options, keepAlive })
      assert.equal(keepAlive.idle, 2)
      await getMany(b.url, 5, { ...options, keepAlive })
      assert.equal(keepAlive.idle, 3)
      {
        using closed = keepAlive
        assert.equal(closed.idle, 3)
      }
      assert.equal(keepAlive.idle, 0)
      await getMany(a.url, 2, { ...options, keepAlive })
      assert.equal(keepAlive.idle, 0, 'it is closed')
    }))

  it('keeps none for longer than it may', (t) =>
    transferring(async (options) => {
      const clock = new VirtualClock(t)
      await using server = await serve((_, response) => response.end('x'))
      const keepAlive = new ConnectionCache({ idleTimeoutMs: 20 })
      await getMany(server.url, 3, { ...options, keepAlive })
      clock.advance(19)
      assert.equal(keepAlive.idle, 3)
      clock.advance(1)
      assert.equal(keepAlive.idle, 0)
    }))

  it('rests without a page of the pool, and does not outlive it in use', () =>
    transferring(async (options) => {
      await using server = await serve((_, response) => response.end(Buffer.alloc(300_000)))
      for (let i = 0; i < 3; i++) {
        await withPool(async (pool) => {
          const onFrag = (frag: Disposable): void => frag[Symbol.dispose]()
          await getInto(server.url, { pool, onFrag }, options)
          await getInto(server.url, { pool, onFrag }, options)
          assert.equal(pool.out, 0)
        })
        assert.equal(server.connections(), i + 1)
      }
    }))

  it('leaves nothing behind on a signal that many transfers share', () =>
    transferring(async (options) => {
      await using server = await serve((_, response) => response.end('x'))
      const { signal } = new AbortController()
      for (let i = 0; i < 3; i++) await getMany(server.url, 20, { ...options, signal })
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    }))

  it('says what is wrong with its limits', () => {
    assertCode('NETMEM_OUT_OF_RANGE', () => new ConnectionCache({ maxIdle: -1 }))
    assertCode('NETMEM_OUT_OF_RANGE', () => new ConnectionCache({ maxIdlePerOrigin: 1025 }))
    assertCode('NETMEM_OUT_OF_RANGE', () => new ConnectionCache({ idleTimeoutMs: 0 }))
  })
})
