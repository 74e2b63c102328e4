// The kernel's page pools, of a kernel that is played: the host's may have none.
import assert from 'node:assert/strict'
import { uptime } from 'node:os'
import { describe, it } from 'node:test'
import { rtLink } from '../linux/index.ts'
import {
  type Answer,
  acknowledge,
  DUMP_INTERRUPTED,
  datagram,
  done,
  fakeNetlink,
  reply,
} from '../linux/netlink/fake-kernel.test.helper.ts'
import { buildMessage } from '../wire/netlink.ts'
import { encodeAttributes } from '../wire/netlink-encode.ts'
import { kernelPools } from './index.ts'

/** Objects of a kernel that is played, by the command of netdev. K: include/uapi/linux/netdev.h. */
interface Kernel {
  readonly pools: readonly object[]
  /** Undefined for a kernel that does not count. */
  readonly stats?: readonly object[]
  readonly queues?: readonly object[]
  /** List that changes while it is told. */
  readonly interrupted?: 'page-pool' | 'page-pool-stats' | 'queue'
}

const NEWLINK = 16
const EOPNOTSUPP = 95

function answers({ pools, stats, queues = [], interrupted }: Kernel): Answer {
  const list = (sequence: number, set: string, objects: readonly object[]) => [
    datagram(
      ...objects.map((object) => reply(sequence, set, object)),
      done(sequence, 0, set === interrupted ? DUMP_INTERRUPTED : 0),
    ),
  ]
  return ({ type, sequence, payload }) => {
    if (type === 18) {
      const head = new Uint8Array(16)
      new DataView(head.buffer).setInt32(4, 3, true)
      const attributes = encodeAttributes(rtLink, 'link-attrs', { ifname: 'eth0' })
      return [datagram(buildMessage(NEWLINK, 2, sequence, head, attributes), done(sequence))]
    }
    switch (payload[0]) {
      case 5:
        return list(sequence, 'page-pool', pools)
      case 9:
        return stats === undefined
          ? [datagram(acknowledge(sequence, EOPNOTSUPP))]
          : list(sequence, 'page-pool-stats', stats)
      default:
        return list(sequence, 'queue', queues)
    }
  }
}

async function poolsOf(kernel: Kernel): ReturnType<typeof kernelPools> {
  const { netlink } = fakeNetlink(answers(kernel))
  using _ = netlink
  return await kernelPools(netlink)
}

const EMPTY = {
  alloc: { fast: 0, slow: 0, slow_high_order: 0, empty: 0, refill: 0, waive: 0 },
  recycle: { cached: 0, cache_full: 0, ring: 0, ring_full: 0, released_refcnt: 0 },
}

describe('kernelPools', () => {
  it('puts pools, counters, queues and interfaces together', async () => {
    const { pools, counts, interrupted } = await poolsOf({
      pools: [
        { id: 7, ifindex: 3, 'napi-id': 8193, inflight: 512n, 'inflight-mem': 2097152n },
        { id: 8, ifindex: 3, 'napi-id': 8194, inflight: 64n, 'inflight-mem': 262144n, dmabuf: 2 },
        { id: 9, ifindex: 3, dmabuf: 2 },
        { id: 10, ifindex: 4, 'io-uring': {} },
      ],
      stats: [
        { info: { id: 7 }, 'alloc-fast': 5n, 'alloc-waive': 1n, 'recycle-released-refcnt': 9n },
      ],
      queues: [
        { id: 0, type: 'rx', ifindex: 3, 'napi-id': 8193 },
        { id: 0, type: 'tx', ifindex: 3, 'napi-id': 8193 },
        { id: 1, type: 'rx', ifindex: 3, 'napi-id': 8194, dmabuf: 2 },
        { id: 1, type: 'rx', ifindex: 4, 'napi-id': 8193 },
      ],
    })
    assert.deepEqual([counts, interrupted], [true, false])
    assert.deepEqual(pools[0], {
      id: 7,
      interface: { index: 3, name: 'eth0' },
      queues: [0],
      inflight: 512,
      inflightBytes: 2097152,
      detachedSeconds: undefined,
      memory: { kind: 'pages' },
      counters: {
        alloc: { ...EMPTY.alloc, fast: 5, waive: 1 },
        recycle: { ...EMPTY.recycle, released_refcnt: 9 },
      },
    })
    assert.deepEqual(pools[1]?.memory, { kind: 'dmabuf', binding: 2 })
    assert.deepEqual(
      pools.map(({ queues }) => queues),
      [[0], [1], [1], []],
    )
    assert.deepEqual(pools[3]?.memory, { kind: 'io_uring' })
    assert.equal(pools[3]?.interface?.name, 'interface 4')
  })

  it('says since when a pool waits whose interface is gone', async () => {
    const detached = BigInt(Math.floor(uptime()) - 100)
    const { pools } = await poolsOf({ pools: [{ id: 7, inflight: 3n, 'detach-time': detached }] })
    assert.equal(pools[0]?.interface, undefined)
    const seconds = pools[0]?.detachedSeconds ?? 0
    assert.ok(seconds >= 100 && seconds < 700, String(seconds))
  })

  it('tells a kernel without counters from counters of zero', async () => {
    const pools = [{ id: 7, ifindex: 3 }]
    const without = await poolsOf({ pools })
    assert.deepEqual([without.counts, without.pools[0]?.counters], [false, undefined])
    const withThem = await poolsOf({ pools, stats: [{ info: { id: 7 } }] })
    assert.deepEqual([withThem.counts, withThem.pools[0]?.counters], [true, EMPTY])
  })

  it('says when pools came and went during the listing', async () => {
    for (const list of ['page-pool', 'page-pool-stats', 'queue'] as const) {
      const kernel = { pools: [{ id: 7 }], stats: [{ info: { id: 7 } }] }
      const { pools, interrupted } = await poolsOf({ ...kernel, interrupted: list })
      assert.deepEqual([pools.length, interrupted], [1, true], list)
    }
    assert.equal((await poolsOf({ pools: [{ id: 7 }] })).interrupted, false)
  })
})
