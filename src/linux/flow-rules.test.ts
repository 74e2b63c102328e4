// Flow rules against a card that is played: places as gve has them, and a card that chooses them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { noneOpenSince, openDescriptors } from '../testing/descriptors.test.helper.ts'
import { FlowRules } from './flow-rules.ts'
import { openFlowRules } from './open-flow-rules.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

/** A card with `places` for rules. One that chooses locations takes the first free one. */
function fakeCard(places: number, choosesLocation = false) {
  const rules = new Map<number, Uint8Array>()
  const run = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    let location = view.getUint32(176, true)
    const command = view.getUint32(0, true)
    if (command === 0x2e) {
      view.setUint32(8, (places | (choosesLocation ? 0x80000000 : 0)) >>> 0, true)
      view.setUint32(184, rules.size, true)
    } else if (command === 0x30) {
      view.setUint32(8, places, true)
      const locations = [...rules.keys()]
      view.setUint32(184, locations.length, true)
      for (const [at, one] of locations.entries()) view.setUint32(188 + 4 * at, one, true)
    } else if (command === 0x2f) {
      const rule = rules.get(location)
      if (rule === undefined) throw new Error('ENOENT')
      bytes.set(rule.subarray(16), 16)
    } else if (command === 0x32) {
      if (location === 0xffffffff) {
        assert.ok(choosesLocation, 'this card has no automatic location')
        for (location = 0; rules.has(location); location += 1);
        view.setUint32(176, location, true)
      }
      assert.ok(location < places)
      rules.set(location, bytes.slice())
    } else if (command === 0x31) {
      if (!rules.delete(location)) throw new Error('ENOENT')
    } else assert.fail(`command ${command}`)
  }
  return new FlowRules(run, () => {})
}

describe('flow rules of a card without automatic locations', () => {
  it('take the last free place, are listed and deleted', () => {
    const rules = fakeCard(4)
    const flow = { type: 'tcp4', destinationPort: 5201 } as const
    assert.deepEqual(rules.list(), [])
    assert.equal(rules.add(flow, { queue: 2 }), 3)
    assert.equal(rules.add(flow, { queue: 1 }, 1), 1)
    assert.equal(rules.add({ type: 'tcp6' }, { rssContext: 1 }), 2)
    assert.deepEqual(rules.list(), [
      { ...flow, queue: 1, location: 1 },
      { type: 'tcp6', rssContext: 1, location: 2 },
      { ...flow, queue: 2, location: 3 },
    ])
    rules.delete(3)
    assert.equal(rules.add(flow, { queue: 5 }), 3)
    assert.equal(rules.add(flow, { queue: 6 }), 0)
    assert.throws(() => rules.add(flow, { queue: 7 }), {
      name: 'FlowRuleError',
      code: 'NETMEM_FLOW_RULES_FULL',
      message: /^All 4 places/,
    })
  })

  it('of a card that chooses have its location', () => {
    const rules = fakeCard(4, true)
    assert.equal(rules.add({ type: 'udp4' }, { queue: 0 }), 0)
    assert.equal(rules.add({ type: 'udp4' }, { queue: 0 }), 1)
  })

  it('refuse what is no rule', () => {
    const rules = fakeCard(4)
    const range = { code: 'NETMEM_OUT_OF_RANGE' }
    assert.throws(() => rules.add({ type: 'tcp' as 'tcp4' }, { queue: 0 }), {
      code: 'NETMEM_INVALID_ARGUMENT',
    })
    assert.throws(() => rules.add({ type: 'tcp4', sourcePort: 65536 }, { queue: 0 }), range)
    assert.throws(() => rules.add({ type: 'tcp4', destinationPort: -1 }, { queue: 0 }), range)
    assert.throws(() => rules.add({ type: 'tcp4' }, { queue: -1 }), range)
    assert.throws(() => rules.add({ type: 'tcp4' }, { rssContext: 0 }), range)
    assert.throws(() => rules.add({ type: 'tcp4' }, { queue: 0 }, 2 ** 31), range)
    assert.throws(() => rules.delete(-1), range)
  })
})

describe('openFlowRules', { skip }, () => {
  it('says that an interface has no rules, or does not exist, and leaves no descriptor', async () => {
    const before = openDescriptors()
    const lo = Number(readFileSync('/sys/class/net/lo/ifindex', 'utf8'))
    using rules = await openFlowRules({ ifindex: lo })
    assert.throws(() => rules.list(), {
      code: 'NETMEM_SYSCALL_FAILED',
      errno: 'EOPNOTSUPP',
      message: /^The kernel refuses flow rules of interface \d+ \(ioctl: EOPNOTSUPP\).*ntuple on/,
    })
    assert.throws(() => rules.add({ type: 'tcp4' }, { queue: 0 }), {
      code: 'NETMEM_SYSCALL_FAILED',
    })
    await assert.rejects(openFlowRules({ ifindex: 0x7ffffffe }), {
      errno: 'ENODEV',
      message: /`ip link`/,
    })
    await assert.rejects(openFlowRules({ ifindex: 0 }), { code: 'NETMEM_OUT_OF_RANGE' })
    rules.close()
    rules.close()
    assert.throws(() => rules.list(), { code: 'NETMEM_FD_CLOSED' })
    await noneOpenSince(before)
  })
})
