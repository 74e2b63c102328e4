// The pools of the guest's kernel, as its own tool lists them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openNetlink } from '../linux/index.ts'
import { kernelPools } from './index.ts'

/** Asks the kernel's own tool (tools/net/ynl/pyynl). */
function listed(operation: string): Readonly<Record<string, unknown>>[] {
  const source = process.env['NETMEM_KERNEL_SOURCE']
  assert.ok(source !== undefined)
  const tool = join(source, 'tools/net/ynl/pyynl/cli.py')
  const spec = join(source, 'Documentation/netlink/specs/netdev.yaml')
  const args = [tool, '--no-schema', '--spec', spec, '--dump', operation, '--output-json']
  return JSON.parse(execFileSync('python3', args, { encoding: 'utf8' }))
}

describe('kernelPools', () => {
  it('lists the pools of virtio-net with their queue and counters, as the kernel’s tool does', async () => {
    using netlink = await openNetlink()
    const { pools, counts, interrupted } = await kernelPools(netlink)
    assert.deepEqual([counts, interrupted], [true, false])
    const theirs = listed('page-pool-get')
    assert.deepEqual(
      pools.map(({ id }) => id),
      theirs.map(({ id }) => id),
    )
    const ours = pools.filter(({ interface: of }) => of?.name === 'eth0')
    assert.ok(ours.length > 0, JSON.stringify(theirs))
    for (const pool of ours) {
      assert.equal(pool.queues.length, 1, JSON.stringify(pool))
      assert.ok(pool.inflight > 0)
      assert.equal(pool.inflightBytes % 4096, 0)
      assert.equal(pool.detachedSeconds, undefined)
      assert.deepEqual(pool.memory, { kind: 'pages' })
      const stats = listed('page-pool-stats-get').find(({ info }) => {
        return typeof info === 'object' && info !== null && Reflect.get(info, 'id') === pool.id
      })
      assert.equal(pool.counters?.alloc.slow, stats?.['alloc-slow'])
    }
  })
})
