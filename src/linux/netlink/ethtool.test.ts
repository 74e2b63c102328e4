// The family ethtool: what goes to the kernel for the settings that devmem needs, and a veth's settings.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { parseAttributes } from '../../wire/netlink-attributes.ts'
import { ethtool, openNetlink, rtLink } from '../index.ts'
import { acknowledge, datagram, fakeNetlink, reply } from './fake-kernel.test.helper.ts'

const skip =
  process.platform !== 'linux'
    ? 'needs Linux'
    : process.getuid?.() !== 0 && 'needs root: run it with sudo'

/** Types of the attributes of a request, with their values in hexadecimal. */
const attributesOf = (payload: Uint8Array) =>
  parseAttributes(payload.subarray(4)).map(({ type, value }) => [
    type,
    Buffer.from(value).toString('hex'),
  ])

describe('ethtool', () => {
  it('turns header split on, by the numbers of the kernel', async () => {
    const { netlink, kernels } = fakeNetlink(({ sequence }) => [datagram(acknowledge(sequence))])
    using _ = netlink
    const settings = { 'tcp-data-split': 'enabled', 'hds-thresh': 0, 'rx-buf-len': 4096 } as const
    await netlink.do(ethtool, 'rings-set', { header: { 'dev-index': 3 }, ...settings })
    const payload = kernels[0]?.requests[0]?.payload ?? new Uint8Array(0)
    // K: include/uapi/linux/ethtool_netlink_generated.h, ETHTOOL_MSG_RINGS_SET, ETHTOOL_A_RINGS_*
    assert.equal(payload[0], 16)
    assert.deepEqual(attributesOf(payload), [
      [1, '0800010003000000'],
      [11, '02'],
      [17, '00000000'],
      [10, '00100000'],
    ])
  })

  it('makes an RSS context over some queues, and deletes it', async () => {
    const { netlink, kernels } = fakeNetlink(({ sequence }, nth) => [
      datagram(
        ...(nth === 1
          ? [reply(sequence, 'rss', { context: 2, indir: [4, 5, 4, 5] }, { family: ethtool })]
          : []),
        acknowledge(sequence),
      ),
    ])
    using _ = netlink
    const header = { 'dev-index': 3 }
    const made = await netlink.do(ethtool, 'rss-create-act', { header, indir: [4, 5, 4, 5] })
    assert.deepEqual(made, { context: 2, indir: [4, 5, 4, 5] })
    await netlink.do(ethtool, 'rss-delete-act', { header, context: 2 })
    const requests = kernels[0]?.requests.map(({ payload }) => payload) ?? []
    assert.deepEqual(
      requests.map(([command]) => command),
      [49, 50],
    )
    assert.deepEqual(attributesOf(requests[0] ?? new Uint8Array(0))[1], [
      4,
      '04000000050000000400000005000000',
    ])
  })
})

describe('ethtool of a veth', { skip }, () => {
  it('has channels and features that can be set, and tells of it', async () => {
    const name = `netmem-ethtool-${process.pid}`
    execFileSync('ip', ['netns', 'add', name])
    try {
      using netlink = await openNetlink({ netns: `/run/netns/${name}` })
      const veth = { ifname: 'nm0', 'num-rx-queues': 4, 'num-tx-queues': 4 }
      await netlink.do(rtLink, 'newlink', { ...veth, linkinfo: { kind: 'veth' } }, { create: true })
      const header = { 'dev-name': 'nm0' }
      const monitor = await netlink.subscribe(ethtool, 'monitor')

      const channels = await netlink.do(ethtool, 'channels-get', { header })
      assert.equal(channels['rx-max'], 4)
      await netlink.do(ethtool, 'channels-set', { header, 'rx-count': 3 })
      assert.equal((await netlink.do(ethtool, 'channels-get', { header }))['rx-count'], 3)
      await assert.rejects(netlink.do(ethtool, 'channels-set', { header, 'rx-count': 5 }), {
        code: 'NETMEM_NETLINK_REFUSED',
        errno: 'EINVAL',
        attribute: 'rx-count',
        kernelMessage: 'requested channel count exceeds maximum',
      })

      const active = async (feature: string) => {
        const { active: bits } = await netlink.do(ethtool, 'features-get', { header })
        return bits?.bits?.bit?.some((bit) => bit.name === feature) ?? false
      }
      const before = await active('rx-gro')
      const bit = [{ name: 'rx-gro', value: !before }]
      await netlink.do(ethtool, 'features-set', { header, wanted: { bits: { bit } } })
      assert.equal(await active('rx-gro'), !before)
      await assert.rejects(
        netlink.do(ethtool, 'features-set', {
          header,
          wanted: { bits: { bit: [{ name: 'nosuch' }] } },
        }),
        { attribute: 'wanted.bits.bit.name', kernelMessage: 'bit name not found' },
      )

      const told: unknown[] = []
      for await (const event of monitor) {
        if (event.kind !== 'event') continue
        told.push(event.name)
        if (event.name === 'channels-ntf') assert.equal(event.message['rx-count'], 3)
        if (told.length === 2) break
      }
      assert.deepEqual(told, ['channels-ntf', 'features-ntf'])
    } finally {
      execFileSync('ip', ['netns', 'delete', name])
    }
  })
})
