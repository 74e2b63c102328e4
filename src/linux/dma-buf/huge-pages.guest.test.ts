// Memory of real huge pages, which this file reserves in the guest and gives back.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import { providerConformance } from '../../testing/provider-conformance.ts'
import { bindRx } from '../devmem/index.ts'
import { addressOf } from '../sys/index.ts'
import { createUdmabuf, udmabufProvider } from './index.ts'
import { receivesPayload } from './receives-payload.test.helper.ts'

const MIB = 2 ** 20
const HUGE_PAGE_BYTES = 2 * MIB
const NR_HUGEPAGES = '/proc/sys/vm/nr_hugepages'
/** Enough for the conformance suite, which takes one for each of its tests. */
const RESERVED = 32

const reserve = (pages: number): void => writeFileSync(NR_HUGEPAGES, `${pages}`)

/** The kernel's own count of its huge pages. */
function counters(): { readonly total: number; readonly free: number; readonly promised: number } {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const read = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1])
  return {
    total: read('HugePages_Total'),
    free: read('HugePages_Free'),
    promised: read('HugePages_Rsvd'),
  }
}

/** Returns the KiB of a line of smaps(5) for the mapping at an address. */
function kibOf(name: string, address: number): number {
  const start = address.toString(16).padStart(8, '0')
  const entry = new RegExp(`^${start}-[^]*?^${name}: +(\\d+) kB$`, 'm')
  return Number(entry.exec(readFileSync('/proc/self/smaps', 'utf8'))?.[1])
}

reserve(RESERVED)
assert.deepEqual(counters(), { total: RESERVED, free: RESERVED, promised: 0 })
const providers: Disposable[] = []
after(() => {
  for (const provider of providers) provider[Symbol.dispose]()
  assert.deepEqual(counters(), { total: RESERVED, free: RESERVED, promised: 0 }, 'all are back')
  reserve(0)
  assert.equal(counters().total, 0)
})

providerConformance('udmabufProvider, huge pages', () => {
  const provider = udmabufProvider({ pages: 16, pageSize: HUGE_PAGE_BYTES / 16, hugePages: true })
  providers.push(provider)
  return provider
})

describe('Huge pages', () => {
  after(() => {
    // The suite above holds its own.
    assert.equal(counters().total, RESERVED)
  })

  it('are taken with the dma-buf, and are back when it is closed', () => {
    const before = counters()
    for (let round = 0; round < 20; round++) {
      using dmabuf = createUdmabuf({ bytes: 3 * HUGE_PAGE_BYTES, hugePages: true })
      assert.equal(dmabuf.bytes, 3 * HUGE_PAGE_BYTES)
      const { total, free, promised } = counters()
      assert.deepEqual([total, free - promised], [RESERVED, before.free - 3], `round ${round}`)
    }
    assert.deepEqual(counters(), before)
  })

  it('are what the host maps', () => {
    using dmabuf = createUdmabuf({ bytes: 2 * HUGE_PAGE_BYTES, hugePages: true, numaNode: 0 })
    using one = dmabuf.map()
    using other = dmabuf.map({ shared: true })
    one.bytes.fill(7)
    assert.ok(other.bytes.every((byte) => byte === 7))
    for (const { bytes } of [one, other]) {
      const address = addressOf(bytes)
      assert.equal(address % HUGE_PAGE_BYTES, 0)
      assert.equal(kibOf('KernelPageSize', address), 2048)
      // Huge pages back both mappings.
      assert.equal(kibOf('Shared_Hugetlb', address), 4096)
    }
  })

  it('receive from an ordinary socket', async () => {
    const before = counters()
    const provider = udmabufProvider({ pages: 16, pageSize: 256 * 1024, hugePages: true })
    const taken = counters()
    assert.equal(taken.free - taken.promised, before.free - 2)
    await receivesPayload(provider)
    provider.close()
    assert.deepEqual(counters(), before)
  })

  it('are given back when a card refuses them', async () => {
    const before = counters()
    const layout = { pages: 8, pageSize: MIB, hugePages: true, kind: 'net_iov' } as const
    const provider = udmabufProvider(layout)
    const options = { ifindex: 1, queues: [0], dmabuf: provider.dmabuf }
    await assert.rejects(bindRx(options), failsWith('NETMEM_DEVMEM_UNSUPPORTED'))
    await assert.rejects(
      bindRx({ ...options, rxPageSize: 65_536 }),
      failsWith('NETMEM_DEVMEM_UNSUPPORTED'),
    )
    provider.close()
    assert.deepEqual(counters(), before)
  })

  it('that are missing are named, and are enough when they are reserved as the error says', () => {
    const { free } = counters()
    using _held = createUdmabuf({ bytes: (free - 1) * HUGE_PAGE_BYTES, hugePages: true })
    const wanted = { pages: 4, pageSize: HUGE_PAGE_BYTES, hugePages: true }
    let message = ''
    assert.throws(
      () => udmabufProvider(wanted),
      (error) => {
        failsWith('NETMEM_HUGE_PAGES_SHORT', /4 huge pages.*1 of the 32 in vm\.nr_hugepages/)(error)
        message = String(error)
        return true
      },
    )
    const advised = Number(/vm\.nr_hugepages=(\d+)/.exec(message)?.[1])
    assert.equal(advised, RESERVED + 3)
    try {
      reserve(advised)
      udmabufProvider(wanted).close()
    } finally {
      reserve(RESERVED)
    }
  })
})
