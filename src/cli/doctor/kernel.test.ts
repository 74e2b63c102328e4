// Findings of doctor about kernels and cards that this machine does not have: a kernel is played.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ethtool, rtLink } from '../../linux/index.ts'
import {
  type Answer,
  acknowledge,
  datagram,
  done,
  fakeNetlink,
  reply,
} from '../../linux/netlink/fake-kernel.test.helper.ts'
import { buildMessage } from '../../wire/netlink.ts'
import { encodeAttributes } from '../../wire/netlink-encode.ts'
import { cardFindings } from './cards.ts'
import { Feature, type Finding, finder } from './finding.ts'
import { askedFindings } from './kernel.ts'
import { rightFindings } from './rights.ts'

const ERRNO = { EPERM: 1, EBADF: 9, EOPNOTSUPP: 95 } as const

/** Commands of netdev and ethtool (K: include/uapi/linux/{netdev,ethtool_netlink_generated}.h). */
const COMMAND = { queueGet: 10, featuresGet: 11, bindRx: 13, ringsGet: 15 } as const
const GETLINK = 18
const NEWLINK = 16

interface Card {
  readonly queues: readonly object[]
  readonly bind: keyof typeof ERRNO
  readonly rings?: object
  readonly features?: object
}

function answers({ queues, bind, rings = {}, features = {} }: Card): Answer {
  return ({ type, sequence, payload }) => {
    const command = payload[0]
    if (type === GETLINK) {
      const head = new Uint8Array(16)
      new DataView(head.buffer).setInt32(4, 3, true)
      const attributes = encodeAttributes(rtLink, 'link-attrs', { ifname: 'eth0' })
      return [datagram(buildMessage(NEWLINK, 2, sequence, head, attributes), done(sequence))]
    }
    if (command === COMMAND.queueGet) {
      return [datagram(...queues.map((queue) => reply(sequence, 'queue', queue)), done(sequence))]
    }
    if (command === COMMAND.bindRx) return [datagram(acknowledge(sequence, ERRNO[bind]))]
    const [set, values] = command === COMMAND.ringsGet ? ['rings', rings] : ['features', features]
    const answer = reply(sequence, String(set), Object(values), { flags: 0, family: ethtool })
    return [datagram(answer, acknowledge(sequence))]
  }
}

/** Findings about `eth0`, by name: their status and value. */
async function eth0(card: Card, driver = 'gve'): Promise<Record<string, string>> {
  const { netlink } = fakeNetlink(answers(card))
  using _ = netlink
  const findings = await cardFindings(netlink, () => driver)
  for (const { feature } of findings) assert.equal(feature, Feature.devmem)
  return Object.fromEntries(findings.map(({ name, status, value }) => [name, `${status} ${value}`]))
}

const two = [0, 1].map((id) => ({ id, type: 'rx', ifindex: 3 }))
const ntuple = [{ name: 'rx-ntuple-filter', value: true }]

describe('netmem doctor, of a card', () => {
  it('says what is undone: header split and rules', async () => {
    const found = await eth0({
      queues: two,
      bind: 'EBADF',
      rings: { 'tcp-data-split': 'disabled', 'hds-thresh': 256 },
      features: { hw: { bits: { bit: ntuple } }, active: { nomask: true } },
    })
    assert.deepEqual(found, {
      'network card eth0': 'ok driver gve, RX queues: 2',
      'eth0: device memory': 'ok the driver gve has it',
      'eth0: tcp-data-split': 'missing off',
      'eth0: hds-thresh': 'missing 256: shorter packets are not split',
      'eth0: ntuple': 'missing off: no flow can be steered to a queue',
    })
  })

  it('has nothing to say against one that is prepared and bound', async () => {
    const found = await eth0({
      queues: [...two, { id: 2, type: 'rx', ifindex: 3, dmabuf: 7 }],
      bind: 'EBADF',
      rings: { 'tcp-data-split': 'enabled', 'hds-thresh': 0 },
      features: {
        hw: { bits: { bit: ntuple } },
        active: { nomask: true, bits: { bit: [{ name: 'rx-ntuple-filter' }] } },
      },
    })
    assert.equal(found['eth0: bound'], 'ok queue 2 to binding 7')
    assert.ok(
      Object.values(found).every((text) => text.startsWith('ok ')),
      JSON.stringify(found),
    )
  })

  it('asks for no settings of a card that cannot do it', async () => {
    assert.deepEqual(await eth0({ queues: two, bind: 'EOPNOTSUPP' }, 'virtio_net'), {
      'network card eth0': 'ok driver virtio_net, RX queues: 2',
      'eth0: device memory': 'missing the driver virtio_net has no queue operations (EOPNOTSUPP)',
    })
    const other = await eth0({ queues: two, bind: 'EPERM' }, 'e1000e')
    assert.match(other['eth0: device memory'] ?? '', /^missing no kernel .* e1000e$/)
  })

  it('says what it could not ask, and what the driver lacks', async () => {
    const found = await eth0({ queues: two.slice(1), bind: 'EPERM' }, 'mlx5_core')
    assert.match(found['network card eth0'] ?? '', /^warn .*RX queues: 1$/)
    assert.match(found['eth0: device memory'] ?? '', /^warn .*the kernel was not asked$/)
    assert.match(found['eth0: tcp-data-split'] ?? '', /^missing the driver has no such setting$/)
    assert.match(found['eth0: ntuple'] ?? '', /^warn the driver has no such feature$/)
  })

  it('lists leased queues', async () => {
    const lease = { ifindex: 9, queue: { id: 4, type: 'rx' }, 'netns-id': 0 }
    const found = await eth0({
      queues: [...two, { id: 2, type: 'rx', ifindex: 3, lease }],
      bind: 'EBADF',
    })
    assert.equal(
      found['eth0: queue 2 leased'],
      'ok with queue 4 of interface 9 of another network namespace',
    )
  })
})

describe('netmem doctor, of rights', () => {
  for (const [bind, status] of [
    ['EPERM', 'missing'],
    ['EOPNOTSUPP', 'ok'],
    ['EBADF', 'ok'],
  ] as const) {
    it(`takes ${bind} of bind-rx for a right to bind that is ${status}`, async () => {
      const { netlink } = fakeNetlink(answers({ queues: [], bind }))
      using _ = netlink
      const findings = await rightFindings(netlink)
      assert.equal(findings.find(({ name }) => name === 'right to bind')?.status, status)
    })
  }
})

describe('netmem doctor, of a kernel without devmem', () => {
  it('says which operations it lacks, and asks no further', async () => {
    // The kernel that is played knows dev-get and queue-get alone.
    const { netlink, kernels } = fakeNetlink(({ sequence }) => [
      datagram(acknowledge(sequence, ERRNO.EOPNOTSUPP)),
    ])
    using _ = netlink
    const build: Finding = finder(Feature.devmem).ok('CONFIG_NET_DEVMEM', 'on')
    const findings = await askedFindings(netlink, build)
    const missing = findings.filter(({ status }) => status === 'missing')
    assert.deepEqual(
      missing.map(({ name, value }) => [name, value]),
      [
        ['page pools', 'EOPNOTSUPP'],
        ['bind-rx', 'the kernel does not know it; it is for bindRx'],
      ],
    )
    assert.ok(findings.every(({ status, remedy }) => (status === 'ok') === (remedy === undefined)))
    assert.equal(kernels.length, 1)
    assert.equal(kernels[0]?.requests.length, 1)
  })
})
