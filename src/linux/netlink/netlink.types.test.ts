// Names and types of operations are the specification's, and the compiler knows them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import {
  ethtool,
  type NetdevPagePool,
  type Netlink,
  netdev,
  rtLink,
  type UnknownAttribute,
} from '../index.ts'

test('operations take and return what their specification says', () => {
  assert.equal(typeof programs, 'function')
})

/** Compiled, and never run. */
async function programs(netlink: Netlink): Promise<void> {
  const dev = await netlink.do(netdev, 'dev-get', { ifindex: 1 })
  expectTypeOf(dev.ifindex).toEqualTypeOf<number>()
  expectTypeOf(dev['unknown-attributes']).toEqualTypeOf<readonly UnknownAttribute[] | undefined>()
  const pools = await netlink.dump(netdev, 'page-pool-get')
  expectTypeOf(pools.interrupted).toEqualTypeOf<boolean>()
  expectTypeOf(pools.replies[0]).toEqualTypeOf<
    (NetdevPagePool & { readonly id: number }) | undefined
  >()
  expectTypeOf(pools.replies[0]?.inflight).toEqualTypeOf<bigint | undefined>()
  const queue = await netlink.do(netdev, 'queue-get', { ifindex: 1, type: 'rx', id: 0 })
  expectTypeOf(queue.type).toEqualTypeOf<number | 'rx' | 'tx'>()
  expectTypeOf(await netlink.do(netdev, 'napi-set', { id: 1 })).toEqualTypeOf<undefined>()
  expectTypeOf(await netlink.do(ethtool, 'rings-set', {})).toEqualTypeOf<undefined>()

  // @ts-expect-error bind-rx lists nothing
  await netlink.dump(netdev, 'bind-rx')
  // @ts-expect-error qstats-get asks for no single object
  await netlink.do(netdev, 'qstats-get', { ifindex: 1 })
  // @ts-expect-error the family ethtool has no such operation
  await netlink.do(ethtool, 'dev-get', { ifindex: 1 })
  // @ts-expect-error a misspelt attribute
  await netlink.do(netdev, 'dev-get', { index: 1 })
  // @ts-expect-error the kernel takes no id here
  await netlink.do(netdev, 'bind-rx', { id: 1 })
  // @ts-expect-error a queue is rx or tx
  await netlink.do(netdev, 'queue-get', { ifindex: 1, type: 'both', id: 0 })

  for await (const event of await netlink.subscribe(netdev, 'page-pool')) {
    expectTypeOf(event.kind).toEqualTypeOf<'event' | 'overrun' | 'unknown'>()
    if (event.kind === 'event' && event.name === 'page-pool-add-ntf') {
      expectTypeOf(event.message.id).toEqualTypeOf<number>()
    }
    if (event.kind === 'event' && event.name === 'dev-del-ntf') {
      expectTypeOf(event.message.ifindex).toEqualTypeOf<number>()
    }
  }
  const link = await netlink.do(rtLink, 'getlink', { ifname: 'lo' })
  expectTypeOf(link['ifi-index']).toEqualTypeOf<number>()
  expectTypeOf(link.ifname).toEqualTypeOf<string>()
}
