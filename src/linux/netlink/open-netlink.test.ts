// The client against the kernel that runs.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { describe, it } from 'node:test'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { netdev, nlctrl, openNetlink, rtLink } from '../index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const rootSkip = skip === false && process.getuid?.() !== 0 ? 'needs root: run it with sudo' : skip

/** Index of an interface, from sysfs. */
const ifindexOf = (name: string) => Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'))

describe('openNetlink', { skip }, () => {
  it('lists what the kernel has', async () => {
    using netlink = await openNetlink()
    const lo = ifindexOf('lo')
    const { replies, interrupted } = await netlink.dump(netdev, 'dev-get')
    assert.equal(interrupted, false)
    assert.ok(replies.some(({ ifindex }) => ifindex === lo))
    const dev = await netlink.do(netdev, 'dev-get', { ifindex: lo })
    assert.deepEqual(
      dev,
      replies.find(({ ifindex }) => ifindex === lo),
    )
    const queues = await netlink.dump(netdev, 'queue-get', { ifindex: lo })
    assert.deepEqual(
      queues.replies.map(({ ifindex, id, type }) => [ifindex, id, type]),
      [
        [lo, 0, 'rx'],
        [lo, 0, 'tx'],
      ],
    )
  })

  it('lists links by rtnetlink, with a socket of its own', async () => {
    using netlink = await openNetlink()
    const { replies } = await netlink.dump(rtLink, 'getlink')
    const names = replies.map(({ ifname }) => ifname)
    for (const name of Object.keys(networkInterfaces())) assert.ok(names.includes(name), name)
    const lo = await netlink.do(rtLink, 'getlink', { ifname: 'lo' })
    assert.equal(lo['ifi-index'], ifindexOf('lo'))
    assert.equal(lo.mtu, Number(readFileSync('/sys/class/net/lo/mtu', 'utf8')))
  })

  it('reads a dump of many parts', async () => {
    using netlink = await openNetlink()
    const { replies } = await netlink.dump(nlctrl, 'getpolicy', { 'family-name': 'ethtool' })
    assert.ok(replies.length > 100, `${replies.length} parts`)
  })

  it('says what the kernel refuses, and where', async () => {
    using netlink = await openNetlink()
    await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 0 }), {
      code: 'NETMEM_NETLINK_REFUSED',
      errno: 'ERANGE',
      kernelMessage: 'integer out of range',
      attribute: 'ifindex',
      policy: { type: 'u32', min: 1n, max: 0xffffffffn },
    })
    await assert.rejects(netlink.do(netdev, 'dev-get', {}), { errno: 'EINVAL', missing: 'ifindex' })
    await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 0x7fffffff }), {
      errno: 'ENODEV',
      message: /^netdev dev-get: no such device \(ENODEV\)\. Check the index/,
    })
    await assert.rejects(netlink.dump(netdev, 'queue-get', { ifindex: 0x7fffffff }), {
      errno: 'ENODEV',
    })
    const strict = { ifindex: 1, 'unknown-attributes': [{ type: 99, value: new Uint8Array(4) }] }
    await assert.rejects(netlink.do(netdev, 'dev-get', strict), {
      errno: 'EINVAL',
      attribute: 'attribute 99',
    })
    await assert.rejects(netlink.do(rtLink, 'getlink', { ifname: 'no such link' }), {
      code: 'NETMEM_NETLINK_REFUSED',
    })
  })

  it('asks the kernel what it supports', async () => {
    using netlink = await openNetlink()
    assert.equal(await netlink.supports(netdev, 'queue-get'), true)
    assert.equal(await netlink.supports(netdev, 'queue-get', 'ifindex'), true)
    assert.equal(await netlink.supports(netdev, 'queue-get', 'nosuch'), false)
    const policy = await netlink.policy(netdev, 'queue-get')
    assert.deepEqual(policy?.do?.['type'], { type: 'u32', min: 0n, max: 1n })
    assert.deepEqual(Object.keys(policy?.dump ?? {}), ['ifindex'])
    const bind = await netlink.policy(netdev, 'bind-rx')
    assert.equal(bind?.do?.['queues']?.type, 'nested')
    assert.deepEqual(bind?.do?.['queues']?.nested?.['type'], { type: 'u32', min: 0n, max: 1n })
    const other = { ...netdev, name: 'nosuch' }
    assert.equal(await netlink.supports(other, 'queue-get'), false)
    await assert.rejects(netlink.do(other, 'dev-get', { ifindex: 1 }), {
      code: 'NETMEM_NETLINK_NO_FAMILY',
    })
    const later = {
      ...netdev,
      operations: { ...netdev.operations, 'dev-get': { set: 'dev', request: 250 } },
    }
    assert.equal(await netlink.policy(later, 'dev-get'), undefined)
  })

  it('refuses invalid options, and namespaces that do not exist', async () => {
    const wrong = { code: 'NETMEM_OUT_OF_RANGE' }
    await assert.rejects(openNetlink({ receiveBufferBytes: 0 }), wrong)
    await assert.rejects(openNetlink({ receiveBufferBytes: 2 ** 30 }), wrong)
    await assert.rejects(openNetlink({ bytes: 1 } as object), { code: 'NETMEM_INVALID_ARGUMENT' })
    await assert.rejects(openNetlink({ netns: '/nosuch' }), {
      code: 'NETMEM_SYSCALL_FAILED',
      errno: 'ENOENT',
    })
  })

  it('leaves no descriptor', async () => {
    const before = openDescriptors()
    for (let round = 0; round < 100; round += 1) {
      using netlink = await openNetlink({ receiveBufferBytes: 4096 })
      await netlink.dump(rtLink, 'getlink')
      await netlink.subscribe(netdev, 'mgmt')
      await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 0 }))
    }
    await noneOpenSince(before)
  })
})

describe('without rights', { skip: rootSkip }, () => {
  it('asks, lists and subscribes, and changes nothing', () => {
    // A process of its own, since rights that are given up do not come back.
    const script = `
      const { netdev, openNetlink, rtLink } = await import('${new URL('../index.js', import.meta.url).href}')
      process.setgroups([])
      process.setgid(65534)
      process.setuid(65534)
      using(await openNetlink())
      async function using(netlink) {
        await netlink.dump(netdev, 'queue-get')
        await netlink.subscribe(netdev, 'mgmt')
        const codes = []
        for (const [family, operation, request] of [
          [netdev, 'napi-set', { id: 1 }],
          [rtLink, 'dellink', { ifname: 'lo' }],
        ]) await netlink.do(family, operation, request).catch(({ errno }) => codes.push(errno))
        await openNetlink({ netns: '/proc/self/ns/net' }).catch(({ errno }) => codes.push(errno))
        console.log(codes.join())
        netlink.close()
      }`
    const args = ['--input-type=module', '--eval', script]
    assert.equal(execFileSync(process.execPath, args, { encoding: 'utf8' }), 'EPERM,EPERM,EPERM\n')
  })
})

describe('in a network namespace', { skip: rootSkip }, () => {
  /** Calls `test` with the file of a fresh namespace. */
  async function namespaced(test: (path: string, name: string) => Promise<void>): Promise<void> {
    const name = `netmem-${process.pid}`
    execFileSync('ip', ['netns', 'add', name])
    try {
      await test(`/run/netns/${name}`, name)
    } finally {
      execFileSync('ip', ['netns', 'delete', name])
    }
  }

  it('sees the links of the namespace alone, and this thread stays where it is', async () => {
    await namespaced(async (netns) => {
      const before = openDescriptors()
      const home = readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n').length
      const netlink = await openNetlink({ netns })
      const { replies } = await netlink.dump(netdev, 'dev-get')
      assert.deepEqual(
        replies.map(({ ifindex }) => ifindex),
        [1],
      )
      await netlink.do(
        rtLink,
        'newlink',
        { ifname: 'nm0', linkinfo: { kind: 'veth' } },
        { create: true },
      )
      const links = await netlink.dump(rtLink, 'getlink')
      assert.ok(links.replies.some(({ ifname }) => ifname === 'nm0'))
      const exists = netlink.do(
        rtLink,
        'newlink',
        { ifname: 'nm0', linkinfo: { kind: 'veth' } },
        { create: true },
      )
      await assert.rejects(exists, { errno: 'EEXIST' })
      assert.equal(readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n').length, home)
      netlink.close()
      await noneOpenSince(before)
    })
  })

  it('tells of interfaces that come and go', async () => {
    await namespaced(async (netns) => {
      using netlink = await openNetlink({ netns })
      const subscription = await netlink.subscribe(netdev, 'mgmt')
      await netlink.do(
        rtLink,
        'newlink',
        { ifname: 'nm0', linkinfo: { kind: 'veth' } },
        { create: true },
      )
      await netlink.do(rtLink, 'dellink', { ifname: 'nm0' })
      // A veth comes with its peer, so there are two of each.
      const names: string[] = []
      for await (const event of subscription) {
        assert.ok(event.kind === 'event')
        if (event.name !== 'dev-change-ntf') names.push(event.name)
        if (names.filter((name) => name === 'dev-del-ntf').length === 2) break
      }
      assert.deepEqual(names, ['dev-add-ntf', 'dev-add-ntf', 'dev-del-ntf', 'dev-del-ntf'])
    })
  })

  it('waits for an event, and keeps nothing when it is closed during the wait', async () => {
    await namespaced(async (netns) => {
      const before = openDescriptors()
      const netlink = await openNetlink({ netns })
      const subscription = await netlink.subscribe(netdev, 'mgmt')
      const first = subscription[Symbol.asyncIterator]().next()
      await turns()
      await netlink.do(
        rtLink,
        'newlink',
        { ifname: 'nm0', linkinfo: { kind: 'veth' } },
        { create: true },
      )
      const { value } = await first
      assert.equal(value?.kind === 'event' && value.name, 'dev-add-ntf')
      const waiting = (async () => {
        for await (const event of subscription) if (event.kind !== 'event') assert.fail(event.kind)
      })()
      await turns()
      netlink.close()
      await waiting
      await noneOpenSince(before)
    })
  })

  it('says that events were lost, and yields further ones', async () => {
    await namespaced(async (netns) => {
      using netlink = await openNetlink({ netns })
      const subscription = await netlink.subscribe(netdev, 'mgmt', { receiveBufferBytes: 2048 })
      const link = { ifname: 'nm0', linkinfo: { kind: 'veth' } }
      for (let round = 0; round < 20; round += 1) {
        await netlink.do(rtLink, 'newlink', link, { create: true })
        await netlink.do(rtLink, 'dellink', { ifname: 'nm0' })
      }
      let overruns = 0
      let after = 0
      for await (const event of subscription) {
        if (event.kind === 'overrun') {
          overruns += 1
          await netlink.do(
            rtLink,
            'newlink',
            { ifname: 'last', linkinfo: { kind: 'veth' } },
            { create: true },
          )
        } else if (overruns > 0 && event.kind === 'event') {
          const { ifindex } = event.message as { ifindex?: number }
          after += 1
          const last = await netlink.do(rtLink, 'getlink', { ifname: 'last' })
          if (ifindex === last['ifi-index']) break
        }
      }
      assert.equal(overruns, 1)
      assert.ok(after > 0)
    })
  })
})
