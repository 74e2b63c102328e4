import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { isFields } from '../errors.ts'
import { inside, jsonLines, jsonOf, MAIN, Running, temporaryFolder } from './cli.test.helper.ts'
import type { Look } from './pools/look.ts'
import { countersOf, ratesBetween } from './pools/rates.ts'
import { StalledPools } from './pools/stalled.ts'
import { poolLines } from './pools/tables.ts'

const skip = process.getuid === undefined ? 'needs the users of Unix' : false
const path = temporaryFolder()
const runtime = path('runtime')
mkdirSync(runtime)
const env = { XDG_RUNTIME_DIR: runtime }
const pools = (...args: string[]): Running =>
  new Running(process.execPath, [MAIN, 'pools', ...args], env)

const module = new URL('../observe/index.js', import.meta.url).href
const core = new URL('../index.js', import.meta.url).href

/** A program that offers a pool, one page of which it keeps. */
async function offering(): Promise<Running> {
  const program = path('server \u001b[31m.mjs')
  writeFileSync(
    program,
    `import { createPool, hostProvider } from '${core}'
     import { offerPools } from '${module}'
     const pool = createPool(hostProvider({ pages: 4, pageSize: 4096 }), { name: 'uploads' })
     globalThis.page = pool.alloc()
     await offerPools()
     console.log('offered')
     setInterval(() => pool.put(pool.alloc()), 1)`,
  )
  const running = new Running(process.execPath, [program], env)
  await running.prints(/offered/)
  return running
}

describe('netmem pools', { skip }, () => {
  it('lists the pools of a process: who holds their memory, and their counters', async () => {
    const server = await offering()
    const shown = await pools().ended
    const ended = await pools('--json').ended
    server.child.kill('SIGTERM')
    await server.ended
    assert.deepEqual([shown.code, shown.err], [0, ''])
    const text = shown.out.toString()
    const { pid } = server.child
    assert.match(text, /^The kernel's page pools\n {2}\S/)
    // The name of the program cannot colour the terminal.
    assert.match(
      text,
      new RegExp(
        `^ {2}${pid} +server \\\\x1b\\[31m\\.mjs +uploads +pages of 4KiB +4 +3 +0 +0 +0 +1 +\\d+\\.\\d s$`,
        'm',
      ),
    )
    assert.match(text, /^ {2}pool +fast +slow +slow_high_order .* released_refcnt$/m)
    assert.match(text, new RegExp(`^ {2}${pid} uploads +\\d+ +1 `, 'm'))

    assert.equal(ended.code, 0)
    const report = jsonOf(ended)
    const offer = inside(report, 'processes')
    assert.deepEqual([offer['pid'], offer['threadId']], [pid, 0])
    const held = inside(inside(offer, 'pools'), 'held')
    assert.deepEqual(held, { cache: 3, ring: 0, posted: 0, sockets: 0, application: 1 })
    assert.ok(['listed', 'unavailable'].includes(String(inside(report, 'kernel')['kind'])))
  })

  it('watches: counters become rates, until it is interrupted', async () => {
    const server = await offering()
    const watching = pools('--watch', '--json')
    await watching.prints(/"rates"/)
    watching.child.kill('SIGINT')
    const ended = await watching.ended
    server.child.kill('SIGTERM')
    await server.ended
    assert.equal(ended.code, 130)
    const lines = jsonLines(ended.out.toString())
    const end = lines.pop()
    assert.deepEqual([end?.['event'], end?.['looks']], ['end', lines.length])
    assert.ok(lines.every(({ event }) => event === 'look'))
    const rates = lines[1]?.['rates']
    assert.ok(Array.isArray(rates))
    const rate: unknown = rates.find(({ pool }) => String(pool).endsWith('uploads'))
    assert.ok(isFields(rate))
    // About 1000 a second on a machine that has nothing else to do.
    assert.ok(Number(rate['fast']) > 0 && Number(rate['fast']) < 10_000)
    assert.equal(rate['slow'], 0)
  })

  it('says so when no process offers pools', async () => {
    const { code, out } = await pools().ended
    assert.equal(code, 0)
    assert.match(out.toString(), /none: a program offers its pools with offerPools\(\)/)
  })

  it('fails for a network namespace that is not there', {
    skip: process.platform !== 'linux' && 'needs Linux',
  }, async () => {
    const { code, err } = await pools('--netns', path('none')).ended
    assert.equal(code, 1)
    assert.match(err, /^netmem: NETMEM_SYSCALL_FAILED: .*none \(open: ENOENT\)\. `ip netns list`/)
  })
})

const counters = (
  fast: number,
): Pick<NonNullable<KernelPool['counters']>, 'alloc' | 'recycle'> => ({
  alloc: { fast, slow: 0, slow_high_order: 0, empty: 0, refill: 0, waive: 0 },
  recycle: { cached: 0, cache_full: 0, ring: 0, ring_full: 0, released_refcnt: 0 },
})
type KernelPool = Extract<Look['kernel'], { kind: 'listed' }>['pools'][number]

function lookAt(seconds: number, pool: Partial<KernelPool>): Look {
  const whole: KernelPool = {
    id: 7,
    interface: { index: 3, name: 'eth0' },
    queues: [0],
    inflight: 512,
    inflightBytes: 2 ** 21,
    detachedSeconds: undefined,
    memory: { kind: 'pages' },
    counters: counters(0),
    ...pool,
  }
  const kernel = { kind: 'listed', pools: [whole], counts: true, interrupted: false } as const
  return { atMs: seconds * 1000, kernel, processes: [] }
}

describe('the kernel’s pools', () => {
  it('are a table, with a second one for their counters', () => {
    const lines = poolLines(
      lookAt(0, { memory: { kind: 'dmabuf', binding: 2 }, counters: counters(42) }),
      undefined,
    )
    assert.deepEqual(lines.slice(0, 3), [
      "The kernel's page pools",
      '  pool  interface  RX queues  memory              in flight  of bytes  detached',
      '     7  eth0       0          dma-buf, binding 2        512  2.00 MiB',
    ])
    assert.match(lines.at(-1) ?? '', /^ {2}kernel 7 +42 +0 /)
  })

  it('have the rates of each second between two looks', () => {
    const before = lookAt(1, { counters: counters(100) })
    const now = lookAt(3, { counters: counters(700) })
    const [pool] = ratesBetween(before, now)
    assert.deepEqual([pool?.label, pool?.values[0], pool?.values[1]], ['kernel 7', 300, 0])
    assert.deepEqual(
      ratesBetween({ ...before, kernel: { kind: 'unavailable', code: '', message: '' } }, now),
      [],
    )
    assert.equal(countersOf(lookAt(0, { counters: undefined })).length, 0)
  })

  it('that are detached wait for a slow consumer, or for memory that does not come back', () => {
    const gone = { interface: undefined, queues: [], detachedSeconds: 60 }
    const stalled = new StalledPools()
    assert.match(
      stalled.describe(lookAt(0, { ...gone, inflight: 8 }))[0] ?? '',
      /waits for 8 netmem: .*--watch/,
    )
    assert.match(
      stalled.describe(lookAt(5, { ...gone, inflight: 3 }))[0] ?? '',
      /3 netmem, 5 less than 5 s ago: a slow consumer\.$/,
    )
    const leaking = new StalledPools()
    leaking.describe(lookAt(0, { ...gone, inflight: 8 }))
    assert.match(
      leaking.describe(lookAt(9, { ...gone, inflight: 8 }))[0] ?? '',
      /8 netmem, as 9 s ago: .*or a leak\.$/,
    )
    assert.deepEqual(stalled.describe(lookAt(6, {})), [])
  })
})
