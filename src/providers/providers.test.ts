import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { createPool } from '../pool/create-pool.ts'
import type { PageProvider } from '../pool/memory-provider.ts'
import { providerConformance, testDeviceProvider } from '../testing/index.ts'
import { assertCode, end, some, take } from '../testing/pools.test.helper.ts'
import { externalProvider } from './external.ts'
import { hostProvider } from './host.ts'
import { sharedProvider } from './shared.ts'

// Node.js has it, but its types lack it.
declare const WebAssembly: {
  Memory: new (size: {
    initial: number
    maximum?: number
    shared?: boolean
  }) => { readonly buffer: ArrayBufferLike; grow(pages: number): number }
}

const pageSize = 4096
const layout = { pages: 37, pageSize }
const bytes = layout.pages * pageSize

/** Values that TypeScript refuses, as a JavaScript caller may pass them. */
const notNumbers = ['4096', 4096n, null, {}, true, Symbol('n')]
const outOfRange = [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]

providerConformance('hostProvider', () => hostProvider(layout))
providerConformance('hostProvider of one page', () => hostProvider({ pages: 1, pageSize }))
providerConformance('sharedProvider', () => sharedProvider(layout))
providerConformance('testDeviceProvider', () => testDeviceProvider({ netIovs: 37, pageSize }))
providerConformance('externalProvider of an ArrayBuffer', () =>
  externalProvider(new ArrayBuffer(bytes), { pageSize }),
)
providerConformance('externalProvider of a SharedArrayBuffer', () =>
  externalProvider(new SharedArrayBuffer(bytes + 100), { pageSize }),
)
providerConformance('externalProvider of a view with an offset', () =>
  externalProvider(new Float64Array(new ArrayBuffer(2 * bytes), 1000, bytes / 8), { pageSize }),
)
providerConformance('externalProvider of a shared view with an offset', () =>
  externalProvider(new Uint8Array(new SharedArrayBuffer(2 * bytes), 8, bytes), { pageSize }),
)
providerConformance('externalProvider of a WebAssembly.Memory', () =>
  externalProvider(new WebAssembly.Memory({ initial: 3 }), { pageSize }),
)
providerConformance('externalProvider of a shared WebAssembly.Memory', () =>
  externalProvider(new WebAssembly.Memory({ initial: 3, maximum: 4, shared: true }), { pageSize }),
)

// The provider grows its memory whenever it is asked for something.
providerConformance('externalProvider of a WebAssembly.Memory that grows', (): PageProvider => {
  const memory = new WebAssembly.Memory({ initial: 3 })
  const provider = externalProvider(memory, { pageSize })
  let asked = 0
  const grow = (): void => void (asked++ % 50 === 0 && memory.grow(1))
  return {
    ...provider,
    alloc: (want, give) => {
      grow()
      provider.alloc(want, give)
    },
    bytes: (page) => {
      grow()
      return provider.bytes(page)
    },
  }
})

test('a pool finds its pages again after a WebAssembly.Memory has grown', async () => {
  const memory = new WebAssembly.Memory({ initial: 1 })
  const pool = createPool(externalProvider(memory, { pageSize }))
  const page = some(pool.alloc())
  const before = pool.bytes(page)
  before.fill(7)
  assert.equal(pool.bytes(page), before)
  memory.grow(1)
  assert.equal(before.byteLength, 0)
  assert.equal(pool.bytes(page).byteLength, pageSize)
  assert.ok(pool.bytes(page).every((byte) => byte === 7))
  pool.put(page)
  assert.equal(pool.capacity, 65_536 / pageSize)
  await end(pool)
})

test('an external provider has the whole pages of its memory and nothing beside them', async () => {
  const memory = new Uint8Array(5 * pageSize)
  const pool = createPool(
    externalProvider(memory.subarray(100, 100 + 3 * pageSize + 4095), { pageSize }),
  )
  assert.equal(pool.capacity, 3)
  const pages = take(3, pool)
  for (const page of pages) pool.bytes(page).fill(1)
  assert.ok(memory.subarray(0, 100).every((byte) => byte === 0))
  assert.ok(memory.subarray(100, 100 + 3 * pageSize).every((byte) => byte === 1))
  assert.ok(memory.subarray(100 + 3 * pageSize).every((byte) => byte === 0))
  for (const page of pages) pool.put(page)
  await end(pool)
})

test('the default page has 256 KiB', () => {
  assert.equal(hostProvider({ pages: 1 }).pageSize, 2 ** 18)
  assert.equal(sharedProvider({ pages: 1 }).pageSize, 2 ** 18)
  assert.equal(externalProvider(new ArrayBuffer(2 ** 18)).pageSize, 2 ** 18)
})

test('bad page counts and page sizes are refused with a code', () => {
  for (const make of [hostProvider, sharedProvider]) {
    const makeAny = make as (layout?: unknown) => unknown
    for (const value of notNumbers) {
      assertCode('NETMEM_INVALID_ARGUMENT', () => makeAny({ pages: value }))
      if (value === null) continue
      const bad = { pages: 1, pageSize: value }
      assertCode('NETMEM_INVALID_ARGUMENT', () => makeAny(bad))
    }
    assertCode('NETMEM_INVALID_ARGUMENT', () => makeAny())
    assertCode('NETMEM_INVALID_ARGUMENT', () => makeAny({}))
    for (const value of [...outOfRange, 2 ** 20]) {
      assertCode('NETMEM_OUT_OF_RANGE', () => make({ pages: value }))
    }
    for (const value of [...outOfRange, 1, 2048, 4095, 4097, 12_288, 2 ** 31]) {
      assertCode('NETMEM_OUT_OF_RANGE', () => make({ pages: 1, pageSize: value }))
    }
  }
  for (const value of outOfRange) {
    assertCode('NETMEM_OUT_OF_RANGE', () => testDeviceProvider({ netIovs: value }))
    const device = { netIovs: 1, pageSize: value }
    assertCode('NETMEM_OUT_OF_RANGE', () => testDeviceProvider(device))
  }
})

test('an external provider refuses what is no memory, or too little', () => {
  const externalAny = externalProvider as (memory?: unknown) => unknown
  for (const value of [undefined, ...notNumbers, 4096, [], { buffer: 4096 }]) {
    assertCode('NETMEM_INVALID_ARGUMENT', () => externalAny(value))
  }
  for (const tooLittle of [
    new ArrayBuffer(0),
    new ArrayBuffer(4095),
    new SharedArrayBuffer(4095),
    new Uint8Array(new ArrayBuffer(8192), 4097),
    new WebAssembly.Memory({ initial: 0 }),
  ]) {
    assertCode('NETMEM_DESTINATION_TOO_SMALL', () => externalProvider(tooLittle, { pageSize }))
  }
  const memory = new ArrayBuffer(2 ** 20)
  for (const value of [...outOfRange, 12_288]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => externalProvider(memory, { pageSize: value }))
  }
  // A refusal leaves the caller's memory as it is.
  assert.equal(structuredClone(memory, { transfer: [memory] }).byteLength, 2 ** 20)
  assert.equal(memory.byteLength, 0)
})

test('host memory cannot be transferred', async () => {
  const pools = [pageSize, 64 * 1024].map((size) =>
    createPool(hostProvider({ pages: 4, pageSize: size })),
  )
  const { port1, port2 } = new MessageChannel()
  for (const pool of pools) {
    const page = some(pool.alloc())
    const view = pool.bytes(page)
    const buffer = view.buffer as ArrayBuffer
    const { byteLength } = buffer
    const attempts = [
      () => structuredClone(buffer, { transfer: [buffer] }),
      () => port1.postMessage(buffer, [buffer]),
      () => port1.postMessage(view, [buffer]),
    ]
    for (const attempt of attempts) {
      try {
        attempt()
      } catch (error) {
        // Node 20 copies instead. Later versions refuse.
        assert.ok(error instanceof DOMException && error.name === 'DataCloneError')
      }
      assert.equal(buffer.byteLength, byteLength)
      view[0] = 42
      assert.equal(pool.bytes(page)[0], 42)
    }
    pool.put(page)
  }
  port1.close()
  port2.close()
  await end(...pools)
})

test('more memory than the process can have is refused with a code', () => {
  const tooMuch = { pages: 2 ** 20 - 1, pageSize: 2 ** 30 }
  for (const make of [hostProvider, sharedProvider]) {
    assert.throws(() => make(tooMuch), { code: 'NETMEM_OUT_OF_RANGE', name: 'RangeError' })
  }
})

test('the message about every wrong page size names the power of two', () => {
  for (const wrong of [1000, 5000, 2 ** 31, 4096.5, Number.NaN]) {
    assert.throws(() => hostProvider({ pages: 1, pageSize: wrong }), {
      message: `pageSize must be a power of two of 4096 to 1073741824, such as 262144, not ${wrong}.`,
    })
  }
})

test('a pool knows whether others can take its memory away', async () => {
  const plain = new ArrayBuffer(pageSize)
  for (const [provider, mayMove] of [
    [hostProvider({ pages: 1, pageSize }), false],
    [sharedProvider({ pages: 1, pageSize }), false],
    [externalProvider(new WebAssembly.Memory({ initial: 1 }), { pageSize }), false],
    [externalProvider(new SharedArrayBuffer(pageSize), { pageSize }), false],
    [externalProvider(plain, { pageSize }), true],
    [externalProvider(new Uint8Array(pageSize), { pageSize }), true],
    [externalProvider({ buffer: plain }, { pageSize }), true],
    [withoutPromise(externalProvider(plain, { pageSize })), true],
  ] as const) {
    const pool = createPool(provider)
    assert.equal(pool.mayMove, mayMove)
    await end(pool)
  }
})

/** A provider that says nothing of it, as one of the user's own may. */
function withoutPromise({ mayMove: _, ...provider }: PageProvider): PageProvider {
  return provider
}
