// Binding device memory to queues: what is refused, what is put back, what outlives it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NetIov, type Netmem, type Page, type Place, placeOf } from '../../../netmem.ts'
import { createPool, dualPool } from '../../../pool/create-pool.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { sharedProvider } from '../../../providers/shared.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import { HandNic } from '../../testing/hand-nic.ts'
import type { AnySkb, Skb } from '../skb/skb.ts'
import { type BindableDmaBuf, bindRx, type RxBinding } from './bind-rx.ts'
import { type NetmemDriver, type NetmemDriverOptions, openNetmemDriver } from './netmem-driver.ts'
import { openPageDriver } from './page-driver.ts'

const HEADER = Uint8Array.from({ length: 54 }, (_, at) => at)
const PAGE = 4096

/** A driver with two queues of pages, on a NIC without hardware. */
class Bench {
  readonly driver: NetmemDriver
  readonly nic: HandNic
  readonly received: AnySkb[]
  readonly #pools: readonly (PagePool<Netmem> | PagePool<Page>)[]

  private constructor(
    driver: NetmemDriver,
    nic: HandNic,
    received: AnySkb[],
    pools: readonly (PagePool<Netmem> | PagePool<Page>)[],
  ) {
    this.driver = driver
    this.nic = nic
    this.received = received
    this.#pools = pools
  }

  static async open(options: Partial<NetmemDriverOptions> = {}): Promise<Bench> {
    const layout = { pages: 16, pageSize: PAGE }
    const pools = options.pools ?? [
      dualPool(sharedProvider(layout)),
      dualPool(sharedProvider(layout)),
    ]
    const headerPool = createPool(sharedProvider(layout))
    const nic = new HandNic(2)
    const received: AnySkb[] = []
    const deliver = (skb: AnySkb): void => void received.push(skb)
    const all = { pools, headerPool, ringSize: 8, deliver, ...options }
    return new Bench(await openNetmemDriver(nic, all), nic, received, [...pools, headerPool])
  }

  receive(queue: number, bytes = 1000): AnySkb | undefined {
    this.nic.receive(queue, HEADER, new Uint8Array(bytes).fill(queue + 1))
    this.driver.poll()
    return this.received.pop()
  }

  /** Returns the kind of memory of a packet on a queue. Frees the packet at once. */
  kindOn(queue: number): string | undefined {
    const skb = this.receive(queue)
    skb?.free()
    return skb?.kind
  }

  async close(): Promise<void> {
    for (const skb of this.received.splice(0)) skb.free()
    await this.driver.close()
    for (const pool of this.#pools) {
      assert.equal(pool.out, 0)
      await pool.destroy()
    }
  }
}

/** Device memory that only the NIC can reach, in pieces of one net_iov. */
class TestDmaBuf implements BindableDmaBuf {
  readonly bytes: number
  attached = 0
  readonly #pieceBytes: number

  constructor(bytes = 32 * PAGE, pieceBytes = PAGE) {
    this.bytes = bytes
    this.#pieceBytes = pieceBytes
  }

  attach(nic: HandNic): ReturnType<BindableDmaBuf['attach']> {
    this.attached++
    const segments = []
    for (let left = this.bytes; left > 0; left -= this.#pieceBytes) {
      const bytes = Math.min(left, this.#pieceBytes)
      segments.push({ address: { region: nic.dma.map(new Uint8Array(bytes)), offset: 0 }, bytes })
    }
    const detach = (): Promise<void> => {
      this.attached--
      return Promise.resolve()
    }
    return Promise.resolve({ segments, detach })
  }
}

/** Returns the place of the first frag's net_iov. */
function firstPlace(skb: Skb<NetIov>): Place {
  return placeOf(some(skb.frags[0]))
}

test('payload lands in device memory, headers in pages, and the other queue continues', async () => {
  const bench = await Bench.open()
  const dmabuf = new TestDmaBuf()
  const binding = await bindRx(bench.driver, { dmabuf, queues: [1] })
  assert.deepEqual(binding.queues, [1])
  assert.equal(bench.nic.configs.get(1)?.boundToDevice, true)
  const page = bench.receive(0)
  assert.equal(page?.kind, 'page')
  const iov = bench.receive(1)
  assert.ok(iov?.kind === 'net_iov')
  assert.deepEqual(iov.head.slice(0, iov.headLength), HEADER)
  assert.equal(iov.dataLength, 1000)
  const place = firstPlace(iov)
  assert.equal(place.binding, binding)
  assert.ok(place.offset % PAGE === 0 && place.offset < dmabuf.bytes)
  page?.free()
  iov.free()
  await binding.close()
  assert.equal(bench.kindOn(1), 'page')
  await binding.released()
  assert.equal(dmabuf.attached, 0)
  await bench.close()
})

test('several queues share a dma-buf: one takes what the other leaves idle', async () => {
  const bench = await Bench.open()
  const dmabuf = new TestDmaBuf()
  const binding = await bindRx(bench.driver, { dmabuf, queues: [1, 0] })
  // Queue 1 keeps the 8 net_iovs that it has posted.
  const held: AnySkb[] = []
  for (let skb = bench.receive(0); skb !== undefined; skb = bench.receive(0)) held.push(skb)
  assert.equal(held.length, 24)
  const other = bench.receive(1)
  assert.ok(other?.kind === 'net_iov')
  held.push(other)
  const places = held.map((skb) => {
    assert.ok(skb.kind === 'net_iov')
    assert.equal(firstPlace(skb).binding, binding)
    return firstPlace(skb).offset
  })
  assert.equal(new Set(places).size, 25)
  assert.ok(places.every((offset) => offset % PAGE === 0 && offset < dmabuf.bytes))
  for (const skb of held) skb.free()
  assert.equal(bench.kindOn(0), 'net_iov')
  await bench.close()
})

test('a dma-buf without a net_iov for each queue is refused, and the queues continue with pages', async () => {
  const bench = await Bench.open()
  const dmabuf = new TestDmaBuf(8 * PAGE)
  await assert.rejects(bindRx(bench.driver, { dmabuf, queues: [0, 1] }), {
    code: 'NETMEM_BIND_IGNORED',
    message: /queue 1 .* 0 of 8 net_iovs are free/,
  })
  for (const queue of [0, 1]) assert.equal(bench.kindOn(queue), 'page')
  await bench.close()
})

test('a frame that was not split is dropped where the host cannot read it', async () => {
  const bench = await Bench.open()
  await bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [1] })
  bench.nic.receive(1, HEADER, new Uint8Array(100), false)
  bench.nic.receive(1, HEADER, new Uint8Array(100))
  bench.driver.poll()
  assert.equal(bench.received.length, 1)
  assert.equal(bench.driver.stats(1)?.rx_dropped_unsplit, 1)
  await bench.close()
})

test('a driver that posts less than a net_iov at once has several packets share one', async () => {
  const bench = await Bench.open({ bufferBytes: 1024 })
  await bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [0] })
  const places: number[] = []
  for (let count = 0; count < 5; count++) {
    const skb = bench.receive(0, 900)
    assert.ok(skb?.kind === 'net_iov')
    places.push(firstPlace(skb).offset)
    bench.received.push(skb)
  }
  assert.equal(new Set(places.slice(0, 4)).size, 1)
  assert.equal(new Set(places).size, 2)
  await bench.close()
})

test('what bindRx refuses', async () => {
  const dmabuf = new TestDmaBuf()
  const bench = await Bench.open()
  const { driver } = bench
  const refused = (code: string, errno: string, binding: Promise<RxBinding>): Promise<void> =>
    assert.rejects(binding, { code, errno })
  for (const queues of [[], [2], [-1], [0.5], [0, 0]]) {
    await refused('NETMEM_BIND_QUEUE', 'EINVAL', bindRx(driver, { dmabuf, queues }))
  }
  await refused(
    'NETMEM_BIND_ORDER',
    'E2BIG',
    (async () => {
      const large = await Bench.open({
        pools: [dualPool(sharedProvider({ pages: 16, pageSize: 16_384 }))],
      })
      try {
        return await bindRx(large.driver, { dmabuf, queues: [0], pageSize: 4096 })
      } finally {
        await large.close()
      }
    })(),
  )
  const unaligned = new TestDmaBuf(8 * PAGE + 512)
  await assert.rejects(bindRx(driver, { dmabuf: unaligned, queues: [0] }), {
    code: 'NETMEM_DMABUF_UNALIGNED',
  })
  const scattered = new TestDmaBuf(8 * PAGE, 6144)
  await assert.rejects(bindRx(driver, { dmabuf: scattered, queues: [0] }), {
    code: 'NETMEM_DMABUF_UNALIGNED',
  })
  assert.equal(unaligned.attached + scattered.attached, 0)
  const binding = await bindRx(driver, { dmabuf, queues: [0] })
  await refused('NETMEM_BIND_BUSY', 'EEXIST', bindRx(driver, { dmabuf, queues: [1, 0] }))
  assert.equal(bench.kindOn(1), 'page')
  await binding.close()
  await bench.close()
  await refused('NETMEM_DEVICE_CLOSED', 'ENODEV', bindRx(driver, { dmabuf, queues: [0] }))
  assert.equal(dmabuf.attached, 0)
})

test('headers that are not all split off are refused', async () => {
  for (const options of [
    { split: 'off' },
    { split: 'fill' },
    { splitThresholdBytes: 100 },
  ] as const) {
    const bench = await Bench.open(options)
    const binding = bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [0] })
    await assert.rejects(binding, { code: 'NETMEM_BIND_HEADER_SPLIT', errno: 'EINVAL' })
    await bench.close()
  }
})

test('a driver of pages cannot be bound', async () => {
  const pool = createPool(sharedProvider({ pages: 16, pageSize: PAGE }))
  const headerPool = createPool(sharedProvider({ pages: 8, pageSize: PAGE }))
  const options = { pools: [pool], headerPool, ringSize: 8, deliver: () => {} }
  const driver = await openPageDriver(new HandNic(), options)
  // @ts-expect-error a driver of pages
  const binding: Promise<unknown> = bindRx(driver, { dmabuf: new TestDmaBuf(), queues: [0] })
  await assert.rejects(binding, { code: 'NETMEM_BIND_UNSUPPORTED', errno: 'EOPNOTSUPP' })
  await driver.close()
  await Promise.all([pool.destroy(), headerPool.destroy()])
})

// Regression 11 of the facts: a failed queue start that does not put the old queue back.
test('a queue that does not start with device memory continues with its pages, and so do the others', async () => {
  const bench = await Bench.open()
  const dmabuf = new TestDmaBuf()
  const before = bench.receive(1)
  assert.equal(before?.kind, 'page')
  bench.nic.failing.push(1)
  await assert.rejects(bindRx(bench.driver, { dmabuf, queues: [0, 1] }), /does not start/)
  for (let i = 0; i < 20; i++) {
    for (const queue of [0, 1]) {
      const skb = bench.receive(queue, 100 + i)
      assert.equal(skb?.kind, 'page')
      assert.equal(skb?.dataLength, 100 + i)
      skb?.free()
    }
  }
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(dmabuf.attached, 0)
  before?.free()
  const binding = await bindRx(bench.driver, { dmabuf, queues: [0, 1] })
  assert.ok(binding.id > 0)
  await bench.close()
})

test('a driver that ignores the memory is found out', async () => {
  const bench = await Bench.open()
  const use = bench.driver.restart
  bench.driver.restart = () => Promise.resolve()
  const dmabuf = new TestDmaBuf()
  await assert.rejects(bindRx(bench.driver, { dmabuf, queues: [0] }), {
    code: 'NETMEM_BIND_IGNORED',
    errno: 'ENODATA',
  })
  bench.driver.restart = use
  assert.equal(dmabuf.attached, 0)
  await bench.close()
})

// Regressions 3 and 8: the provider gone before its queue, a return after the driver unbound.
test('unbind with frags held: they stay valid, and the dma-buf mapped until the last is back', async () => {
  const bench = await Bench.open()
  const dmabuf = new TestDmaBuf()
  const binding = await bindRx(bench.driver, { dmabuf, queues: [0] })
  const held = [bench.receive(0), bench.receive(0)]
  await binding.close()
  await binding.close()
  assert.equal(bench.kindOn(0), 'page')
  assert.equal(binding.inflight, 2)
  let released = false
  const done = binding.released().then(() => {
    released = true
  })
  const again = await bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [0] })
  assert.notEqual(again.id, binding.id)
  held[0]?.free()
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(!released && dmabuf.attached === 1)
  held[1]?.free()
  await done
  assert.equal(dmabuf.attached, 0)
  await bench.close()
})

test('an unbind whose queue does not start leaves it bound', async () => {
  const bench = await Bench.open()
  const binding = await bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [0] })
  bench.nic.failing.push(0)
  await assert.rejects(binding.close(), /does not start/)
  assert.equal(bench.kindOn(0), 'net_iov')
  await binding.close()
  await bench.close()
})

test('no other binding takes a queue of an unbind that failed halfway', async () => {
  const bench = await Bench.open()
  const binding = await bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [0, 1] })
  bench.nic.failing.push(1)
  await assert.rejects(binding.close(), /does not start/)
  const again = bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [0] })
  await assert.rejects(again, { code: 'NETMEM_BIND_BUSY' })
  await binding.close()
  const next = await bindRx(bench.driver, { dmabuf: new TestDmaBuf(), queues: [0] })
  await next.close()
  await bench.close()
})

// Regression 4: socket close, pool destroy and device removal in all legal orders.
const ORDERS = [
  ['free', 'unbind', 'close'],
  ['free', 'close', 'unbind'],
  ['unbind', 'free', 'close'],
  ['unbind', 'close', 'free'],
  ['close', 'free', 'unbind'],
  ['close', 'unbind', 'free'],
] as const
for (const order of ORDERS) {
  test(`with frags held: ${order.join(', ')}`, async () => {
    const bench = await Bench.open()
    const dmabuf = new TestDmaBuf()
    const binding = await bindRx(bench.driver, { dmabuf, queues: [0, 1] })
    const held = [bench.receive(0), bench.receive(1), bench.receive(1)]
    const pages = bench.receive(0)
    assert.equal(pages?.kind, 'net_iov')
    held.push(pages)
    for (const step of order) {
      if (step === 'free') for (const skb of held) skb?.free()
      else if (step === 'unbind') await binding.close()
      else await bench.driver.close()
    }
    await binding.released()
    assert.equal(binding.inflight, 0)
    assert.equal(dmabuf.attached, 0)
    await bench.close()
  })
}
