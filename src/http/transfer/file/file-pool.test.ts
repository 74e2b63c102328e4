import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '../../../testing/waiting.test.helper.ts'
import { ConnectionCache } from '../../client/connection-cache.ts'
import { getInto } from '../../get-into.ts'
import { codeOf, content, freshFolder, serve, transferring } from '../../http.test.helper.ts'
import { FilePool } from './file-pool.ts'

describe('the pool of files', () => {
  it('is used again with its connection, also after a failure', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.url === '/404') response.writeHead(404).end()
        else response.end(content)
      })
      const { at } = freshFolder()
      for (const name of ['a', 'b']) await getInto(server.url, { path: at(name) }, options)
      const missing = getInto(`${server.url}404`, { path: at('c') }, options)
      assert.equal(await codeOf(missing), 'NETMEM_HTTP_STATUS')
      await getInto(server.url, { path: at('d') }, options)
      assert.equal(server.connections(), 1)
    }))

  it('is one for each of two transfers at once, of which one is kept', () =>
    transferring(async (options) => {
      await using server = await serve((_, response) => response.end(content))
      const { at } = freshFolder()
      await Promise.all(['a', 'b'].map((name) => getInto(server.url, { path: at(name) }, options)))
      assert.equal(server.connections(), 2)
      assert.equal(options.keepAlive.idle, 1, 'the other one went with its pool')
    }))

  it('is destroyed when it was idle for two seconds, and its connections are closed', async (t) => {
    let expire: (() => void) | undefined
    const setTimer = globalThis.setTimeout
    t.mock.method(globalThis, 'setTimeout', (run: () => void, ms?: number) => {
      if (ms !== 2000) return setTimer(run, ms)
      expire = run
      return setTimer(() => {}, 0)
    })
    await transferring(async (options) => {
      await using server = await serve((_, response) => response.end('x'))
      await getInto(server.url, { path: freshFolder().at('f') }, options)
      assert.equal(options.keepAlive.idle, 1)
      expire?.()
      assert.equal(options.keepAlive.idle, 0)
    })
  })

  it('is destroyed at once where no connection may rest', async () => {
    const kept = FilePool.take()
    await kept.give(undefined)
    assert.equal(kept.pool.destroyed, true)
    const cache = new ConnectionCache()
    const [first, second] = [FilePool.take(), FilePool.take()]
    await first.give(cache)
    await second.give(cache)
    assert.deepEqual([first.pool.destroyed, second.pool.destroyed], [false, true])
    assert.equal(FilePool.take(), first)
    await first.give(undefined)
    await until(() => first.pool.inflight === 0, 'nothing is held')
  })
})
