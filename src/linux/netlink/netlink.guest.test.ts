// Parts of a newer kernel: page pools that come and go, netkit, and queues that are leased.
import assert from 'node:assert/strict'
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, it } from 'node:test'
import { netdev, openNetlink, rtLink } from '../index.ts'
import { NetlinkError } from './netlink-error.ts'

const DRIVER = '/sys/bus/virtio/drivers/virtio_net'
const ifindexOf = (name: string): number =>
  Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'))

describe('page pools', () => {
  it("are listed with the kernel's eleven counters", async () => {
    using netlink = await openNetlink()
    const ifindex = ifindexOf('eth0')
    const pools = await netlink.dump(netdev, 'page-pool-get')
    const { replies } = await netlink.dump(netdev, 'page-pool-stats-get')
    const [stats] = replies.filter(({ info }) => info.ifindex === ifindex)
    assert.ok(pools.replies.some(({ id }) => id === stats?.info.id))
    assert.equal(Object.values(stats ?? {}).filter((value) => typeof value === 'bigint').length, 11)
  })

  it('come and go with the driver, which notifications tell', async () => {
    using netlink = await openNetlink()
    const device = basename(readlinkSync('/sys/class/net/eth0/device'))
    const before = await netlink.dump(netdev, 'page-pool-get')
    const subscription = await netlink.subscribe(netdev, 'page-pool')
    // virtio-net keeps its pools while the link is down (K: drivers/net/virtio_net.c,
    // virtnet_probe, remove_vq_common).
    writeFileSync(`${DRIVER}/unbind`, device)
    writeFileSync(`${DRIVER}/bind`, device)
    // A pool whose memory is still in use goes later, perhaps when the new ones are there.
    const left = new Set(before.replies.map(({ id }) => id))
    const added = new Set<number>()
    for await (const event of subscription) {
      assert.ok(event.kind === 'event')
      if (event.name === 'page-pool-del-ntf') left.delete(event.message.id)
      if (event.name === 'page-pool-add-ntf') added.add(event.message.id)
      if (added.size > 0 && left.size === 0) break
    }
    assert.ok(before.replies.every(({ id }) => !added.has(id)))
  })
})

describe('netkit', () => {
  it('is made by netlink, and gets no queue of a card without queue operations', async () => {
    using netlink = await openNetlink()
    assert.equal(await netlink.supports(netdev, 'queue-create'), true)
    assert.equal(await netlink.supports(netdev, 'queue-create', 'lease'), true)
    assert.equal(await netlink.supports(netdev, 'bind-rx', 'rx-page-size'), true)
    const data = { mode: 'l3', pairing: 'single' } as const
    const link = { ifname: 'nk0', 'num-rx-queues': 2, linkinfo: { kind: 'netkit', data } }
    await netlink.do(rtLink, 'newlink', link, { create: true })
    try {
      const made = await netlink.do(rtLink, 'getlink', { ifname: 'nk0' })
      assert.equal(made.linkinfo?.kind, 'netkit')
      const details = made.linkinfo?.data
      assert.ok(details !== undefined && !(details instanceof Uint8Array))
      assert.equal(details.mode, 'l3')
      const lease = { ifindex: ifindexOf('eth0'), queue: { id: 0, type: 'rx' } } as const
      await assert.rejects(
        netlink.do(netdev, 'queue-create', { ifindex: made['ifi-index'], type: 'rx', lease }),
        (error: unknown) => {
          assert.ok(error instanceof NetlinkError, String(error))
          assert.equal(error.errno, 'EINVAL')
          // K: net/core/netdev_queues.c, netdev_can_lease_queue.
          assert.match(error.kernelMessage ?? '', /does not support queue management/)
          return true
        },
      )
    } finally {
      await netlink.do(rtLink, 'dellink', { ifname: 'nk0' })
    }
  })
})
