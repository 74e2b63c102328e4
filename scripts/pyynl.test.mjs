// Every query of netmem's netlink client against pyynl, the tool of the kernel's own source, on the
// kernel that runs: the same values under the same names, the same refusals, the same policies.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sourceInCache } from '../build/test/guest/debian.js'
import { COMPARED_SOURCE } from '../build/test/guest/needs.js'
import { ethtool, netdev, nlctrl, openNetlink, rtLink, rtRoute } from '../dist/linux/index.js'

// The guest is told where it is.
const source = process.env.NETMEM_KERNEL_SOURCE ?? sourceInCache(COMPARED_SOURCE)
const skip =
  source === undefined
    ? 'needs the source of the kernel: npm run guest:fetch'
    : spawnSync('python3', ['-c', 'import yaml']).status !== 0 && 'needs python3-yaml'
const families = { netdev, ethtool, nlctrl, 'rt-link': rtLink, 'rt-route': rtRoute }

/** Values as pyynl.py prints them. Attributes that one of the two does not know are left out. */
function plain(value) {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const known = Object.entries(value).filter(([name]) => name !== 'unknown-attributes')
  return Object.fromEntries(known.map(([name, each]) => [name, plain(each)]))
}

/** Makes the two comparable where they differ by design. */
function comparable(value, family, set) {
  if (Array.isArray(value)) return value.map((each) => comparable(each, family, set))
  if (typeof value !== 'object' || value === null) return value
  const rows = new Map((family.sets[set] ?? []).map((row) => [row.name, row]))
  for (const row of Object.values(family.structs).flat()) if (row.name) rows.set(row.name, row)
  const entries = Object.entries(value).flatMap(([name, each]) => {
    const row = rows.get(name)
    if (row === undefined) return []
    // Packets come and go between the two.
    if (/^inflight/.test(name)) return [[name, typeof each]]
    if (row.flags !== undefined) return [[name, [...each].sort()]]
    if (row.type === 'select') return []
    // pyynl keeps the index of each item.
    const items = (item) =>
      Object.keys(item).every((key) => /^\d+$/.test(key)) ? Object.values(item) : [item]
    if (row.type === 'array') return [[name, comparable(each.flatMap(items), family, row.nested)]]
    return [[name, row.nested === undefined ? each : comparable(each, family, row.nested)]]
  })
  return Object.fromEntries(entries)
}

describe('netmem and pyynl', { skip }, () => {
  let netlink
  let python
  let lines
  before(async () => {
    netlink = await openNetlink()
    const script = fileURLToPath(new URL('pyynl.py', import.meta.url))
    python = spawn('python3', [script, source], { stdio: ['pipe', 'pipe', 'inherit'] })
    lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]()
  })
  after(async () => {
    netlink.close()
    python.stdin.end()
    if (python.exitCode === null) await once(python, 'exit')
  })

  async function theirs(family, mode, operation, rest) {
    python.stdin.write(`${JSON.stringify({ family, mode, operation, ...rest })}\n`)
    const { value, done } = await lines.next()
    assert.ok(!done, 'pyynl has ended')
    return JSON.parse(value)
  }

  async function ours(family, mode, operation, attributes) {
    try {
      const answer = await netlink[mode](families[family], operation, attributes)
      return mode === 'dump' ? answer.replies : answer
    } catch (error) {
      if (error.code !== 'NETMEM_NETLINK_REFUSED') throw error
      return error
    }
  }

  /**
   * Compares one query, and returns what both say. `asText` has the attributes as pyynl takes them: where a
   * specification has bytes for an address, it wants text.
   */
  async function same(family, mode, operation, attributes = {}, asText = {}) {
    const mine = await ours(family, mode, operation, attributes)
    const text = { attributes: { ...attributes, ...asText } }
    const their = await theirs(family, mode, operation, text)
    const again = await ours(family, mode, operation, attributes)
    if (mine instanceof Error) {
      const { errno, kernelMessage = null, attribute } = mine
      // pyynl names the attribute only for `do`.
      const place = their.refused?.attribute === null ? null : attribute && `.${attribute}`
      assert.deepEqual({ errno, words: kernelMessage, attribute: place }, their.refused, operation)
      assert.equal(mine.missing ?? null, their.missing)
      return mine
    }
    const { set } = families[family].operations[operation]
    const of = (value) => comparable(plain(value ?? null), families[family], set)
    const told = comparable(their, families[family], set)
    if (/stats-get$/.test(operation)) between(of(mine), told, of(again))
    else assert.deepEqual(of(mine), told, `${family} ${operation} ${JSON.stringify(attributes)}`)
    return mine
  }

  /** Counters change while they are read. */
  function between(before, value, after) {
    assert.deepEqual(value.map(Object.keys), before.map(Object.keys))
    for (const [at, stats] of value.entries()) {
      for (const [name, count] of Object.entries(stats)) {
        if (typeof count !== 'string' || !/^\d+$/.test(count)) continue
        assert.ok(BigInt(before[at][name]) <= BigInt(count), name)
        assert.ok(BigInt(count) <= BigInt(after[at][name]), name)
      }
    }
  }

  it('dump the same', async (t) => {
    for (const [name, family] of Object.entries(families)) {
      for (const [operation, { request }] of Object.entries(family.operations)) {
        if (!/get/.test(operation) || request === undefined || operation === 'getpolicy') continue
        if (/strset|privflags/.test(operation)) continue
        const list = await same(name, 'dump', operation)
        t.diagnostic(`${name} ${operation}: ${list.length ?? list.errno}`)
      }
    }
  })

  it('do the same for every interface, queue, NAPI and page pool', async () => {
    const { replies: devices } = await netlink.dump(netdev, 'dev-get')
    for (const { ifindex } of devices) {
      await same('netdev', 'do', 'dev-get', { ifindex })
      await same('netdev', 'dump', 'queue-get', { ifindex })
      await same('netdev', 'dump', 'napi-get', { ifindex })
      await same('netdev', 'dump', 'page-pool-get', { ifindex })
      await same('netdev', 'dump', 'qstats-get', { ifindex })
      await same('netdev', 'dump', 'qstats-get', { ifindex, scope: ['queue'] })
      await same('rt-link', 'do', 'getlink', { 'ifi-index': ifindex })
      const header = { 'dev-index': ifindex }
      for (const operation of ['rings', 'channels', 'features', 'rss', 'linkstate', 'privflags']) {
        await same('ethtool', 'do', `${operation}-get`, { header })
      }
      const compact = { header: { ...header, flags: ['compact-bitsets'] } }
      await same('ethtool', 'do', 'features-get', compact)
      await same('ethtool', 'do', 'strset-get', {
        header,
        stringsets: { stringset: [{ id: 4 }] },
      })
    }
    const { replies: queues } = await netlink.dump(netdev, 'queue-get')
    for (const { ifindex, type, id } of queues) {
      await same('netdev', 'do', 'queue-get', { ifindex, type, id })
    }
    const { replies: napis } = await netlink.dump(netdev, 'napi-get')
    for (const { id } of napis) await same('netdev', 'do', 'napi-get', { id })
    const { replies: pools } = await netlink.dump(netdev, 'page-pool-get')
    for (const { id } of pools) {
      const pool = await theirs('netdev', 'do', 'page-pool-get', { attributes: { id } })
      assert.equal(pool.id, String(id))
    }
    for (const [bits, family, text, dst] of [
      [32, 2, '127.0.0.1', Uint8Array.of(127, 0, 0, 1)],
      [128, 10, '::1', new Uint8Array(16).fill(1, 15)],
    ]) {
      const request = { 'rtm-family': family, 'rtm-dst-len': bits, dst }
      await same('rt-route', 'do', 'getroute', request, { dst: text })
    }
    await same('nlctrl', 'do', 'getfamily', { 'family-name': 'netdev' })
  })

  it('are refused the same', async () => {
    const lo = (await netlink.do(rtLink, 'getlink', { ifname: 'lo' }))['ifi-index']
    for (const [family, operation, attributes] of [
      ['netdev', 'dev-get', { ifindex: 0 }],
      ['netdev', 'dev-get', { ifindex: 0x7ffffffe }],
      ['netdev', 'dev-get', {}],
      ['netdev', 'queue-get', { ifindex: lo, type: 'rx', id: 99 }],
      ['netdev', 'napi-get', { id: 0x7ffffffe }],
      ['netdev', 'page-pool-get', { id: 0x7ffffffe }],
      ['netdev', 'bind-rx', { ifindex: lo, fd: 0, queues: [{ id: 0, type: 'rx' }] }],
      ['netdev', 'bind-rx', { ifindex: lo, fd: 0 }],
      ['netdev', 'bind-tx', { ifindex: lo, fd: 0 }],
      ['netdev', 'napi-set', { id: 0x7ffffffe, 'defer-hard-irqs': 1 }],
      ['ethtool', 'rings-get', { header: { 'dev-index': lo } }],
      ['ethtool', 'rings-set', { header: { 'dev-index': lo }, 'tcp-data-split': 'enabled' }],
      ['ethtool', 'rings-set', { header: { 'dev-index': lo }, 'hds-thresh': 0 }],
      ['ethtool', 'channels-set', { header: { 'dev-index': lo }, 'rx-count': 4 }],
      ['ethtool', 'rss-get', { header: { 'dev-index': lo } }],
      ['ethtool', 'rss-create-act', { header: { 'dev-index': lo } }],
      ['ethtool', 'rings-get', { header: { 'dev-name': 'nosuch' } }],
      ['rt-link', 'getlink', { ifname: 'nosuch' }],
    ]) {
      const error = await same(family, 'do', operation, attributes)
      assert.ok(error instanceof Error, `${operation} ${JSON.stringify(attributes)}`)
    }
  })

  it('know the same policies', async () => {
    const mine = (policies) =>
      Object.fromEntries(
        Object.entries(policies).map(([name, { nested, ...row }]) => [
          name.replace(/^attribute /, 'attr-'),
          {
            type: row.type,
            ...(row.min !== undefined && { 'min-value': String(row.min) }),
            ...(row.max !== undefined && { 'max-value': String(row.max) }),
            ...(row.minLength !== undefined && { 'min-length': String(row.minLength) }),
            ...(row.maxLength !== undefined && { 'max-length': String(row.maxLength) }),
            ...(row.mask !== undefined && { mask: String(row.mask) }),
            ...(nested !== undefined && { policy: mine(nested) }),
          },
        ]),
      )
    let compared = 0
    for (const [family, operations] of [
      ['netdev', Object.keys(netdev.operations)],
      ['ethtool', ['rings-set', 'channels-set', 'rss-get', 'features-set', 'linkstate-get']],
    ]) {
      for (const operation of operations) {
        const policy = await netlink.policy(families[family], operation)
        if (policy === undefined) continue
        for (const mode of Object.keys(policy)) {
          const their = await theirs(family, 'policy', operation, { modes: [mode] })
          assert.deepEqual(mine(policy[mode]), their[mode], `${family} ${operation} ${mode}`)
          compared += 1
        }
      }
    }
    assert.ok(compared > 10, `${compared} policies`)
  })
})
