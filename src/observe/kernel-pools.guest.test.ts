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
  it('lists the pools of virtio-net with their queues and counters, as the kernel’s tool does', async () => {
    // A pool that serves has a NAPI instance, and with it a queue.
    execFileSync('ip', ['link', 'set', 'eth0', 'up'])
    using netlink = await openNetlink()
    const { pools, counts, interrupted } = await kernelPools(netlink)
    assert.deepEqual([counts, interrupted], [true, false])
    const theirs = listed('page-pool-get')
    const queues = listed('queue-get')
    assert.ok(theirs.length > 0)
    assert.deepEqual(
      pools.map((pool) => [pool.id, pool.inflight, pool.inflightBytes, pool.queues]),
      theirs.map((pool) => [
        pool['id'],
        pool['inflight'] ?? 0,
        pool['inflight-mem'] ?? 0,
        queues
          .filter((queue) => queue['napi-id'] === (pool['napi-id'] ?? 'none'))
          .filter(({ type }) => type === 'rx')
          .map(({ id }) => id),
      ]),
    )
    const serving = pools.find(({ interface: of }) => of?.name === 'eth0')
    assert.deepEqual([serving?.queues, serving?.memory], [[0], { kind: 'pages' }])
    assert.ok(Number(serving?.inflightBytes) > 0)
    const stats = listed('page-pool-stats-get')
    assert.deepEqual(
      pools.map(({ counters }) => counters?.alloc.slow),
      stats.map((each) => each['alloc-slow']),
    )
  })
})
