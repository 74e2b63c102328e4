// pools() says who holds a pool's memory: the sockets' drivers, their queues, or the application.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostFrag } from '../pool/frag.ts'
import { type PoolHolders, pools } from '../pool/pools.ts'
import { some } from '../testing/pools.test.helper.ts'
import { send, until, ways, withEnds } from './harness.test.helper.ts'

for (const way of ways(['tcp4'])) {
  test(`memory is the socket's before it is received (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      const held = (): PoolHolders => {
        const report = some(pools().find(({ name }) => name === pool.name))
        const { cache, ring, posted, sockets, application } = report.held
        assert.equal(cache + ring + posted + sockets + application, report.stats.inflight)
        assert.equal(posted + sockets + application, report.stats.out)
        return report.held
      }
      void send(peer, 0, 3_000_000).catch(() => undefined)
      const frag: HostFrag = some(await connection.receive())
      await until(() => held().sockets + held().application > 1, 'the connection reads ahead')
      const before = held()
      frag.release()
      const { sockets: queued, application } = held()
      assert.equal(application, 0)
      assert.ok(queued >= before.sockets)
      connection.destroy()
      await until(() => pool.out === 0, 'the socket gives back what it has')
      const { posted, sockets, application: rest } = held()
      assert.deepEqual([posted, sockets, rest], [0, 0, 0])
    }),
  )
}
