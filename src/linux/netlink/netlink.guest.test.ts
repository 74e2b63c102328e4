// What a newer kernel has: page pools that come and go, netkit, and queues that are leased.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { netdev, openNetlink, rtLink } from '../index.ts'

/** True in the guest alone: on a host the tests would take its network down. */
const isGuest = process.env['NETMEM_KERNEL_SOURCE'] !== undefined
const skip = isGuest ? false : 'takes eth0 down: npm run test:guest'
/** virtio-net of the guest. */
const eth0 = isGuest ? Number(readFileSync('/sys/class/net/eth0/ifindex', 'utf8')) : 0

describe('page pools', { skip }, () => {
  it("come and go with their interface, and their counters are the kernel's eleven", async () => {
    using netlink = await openNetlink()
    const set = (up: boolean) =>
      netlink.do(rtLink, 'setlink', {
        'ifi-index': eth0,
        'ifi-flags': up ? ['up'] : [],
        'ifi-change': 1,
      })
    await set(true)
    const pools = await netlink.dump(netdev, 'page-pool-get', { ifindex: eth0 })
    assert.ok(pools.replies.length > 0)
    const { replies } = await netlink.dump(netdev, 'page-pool-stats-get')
    const [stats] = replies
    assert.equal(stats?.info.ifindex, eth0)
    assert.equal(Object.values(stats ?? {}).filter((value) => typeof value === 'bigint').length, 11)

    const subscription = await netlink.subscribe(netdev, 'page-pool')
    await set(false)
    await set(true)
    const told: string[] = []
    for await (const event of subscription) {
      assert.ok(event.kind === 'event' && 'id' in event.message)
      told.push(event.name)
      assert.ok(event.message.id > 0)
      if (event.name === 'page-pool-add-ntf') break
    }
    assert.ok(told.includes('page-pool-del-ntf'), told.join())
  })
})

describe('netkit', { skip }, () => {
  it('is made by netlink, and a queue of a card without queue operations is not leased to it', async () => {
    using netlink = await openNetlink()
    assert.equal(await netlink.supports(netdev, 'queue-create'), true)
    assert.equal(await netlink.supports(netdev, 'queue-create', 'lease'), true)
    assert.equal(await netlink.supports(netdev, 'bind-rx', 'rx-page-size'), true)
    const data = { mode: 'l3', pairing: 'single' } as const
    const link = { ifname: 'nk0', 'num-rx-queues': 2, linkinfo: { kind: 'netkit', data } }
    await netlink.do(rtLink, 'newlink', link, { create: true })
    const made = await netlink.do(rtLink, 'getlink', { ifname: 'nk0' })
    assert.equal(made.linkinfo?.kind, 'netkit')
    const details = made.linkinfo?.data
    assert.ok(details !== undefined && !(details instanceof Uint8Array))
    assert.equal(details.mode, 'l3')
    const lease = { ifindex: eth0, queue: { id: 0, type: 'rx' } } as const
    await assert.rejects(
      netlink.do(netdev, 'queue-create', { ifindex: made['ifi-index'], type: 'rx', lease }),
      (error: Error) => {
        console.log(error.message)
        return 'errno' in error && error.errno === 'EOPNOTSUPP'
      },
    )
    await netlink.do(rtLink, 'dellink', { ifname: 'nk0' })
  })
})
