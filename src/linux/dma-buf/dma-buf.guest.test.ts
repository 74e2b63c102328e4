// dma-bufs on a kernel that has them: this project's guest.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { createPool } from '../../pool/create-pool.ts'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import { permutations } from '../../testing/permutations.test.helper.ts'
import { providerConformance } from '../../testing/provider-conformance.ts'
import { dup } from '../sys/index.ts'
import {
  adoptDmaBuf,
  createDmaHeapBuffer,
  createUdmabuf,
  dmaHeapProvider,
  dmaHeaps,
  udmabufProvider,
} from './index.ts'
import { receivesPayload } from './receives-payload.test.helper.ts'

const PAGE = 4096
const MIB = 2 ** 20
const SIZE_LIMIT = '/sys/module/udmabuf/parameters/size_limit_mb'

/** Descriptors of dma-bufs and memfds that this process has open. */
function descriptors(): number {
  let count = 0
  for (const fd of readdirSync('/proc/self/fdinfo')) {
    try {
      if (/^exp_name:/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))) count++
    } catch {
      // The folder's own descriptor.
    }
  }
  return count
}

/** Memory that the machine has left, in KiB. */
function availableKiB(): number {
  return Number(/^MemAvailable: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1])
}

const providers: Disposable[] = []
function kept<P extends Disposable>(provider: P): P {
  providers.push(provider)
  return provider
}
after(() => {
  for (const provider of providers) provider[Symbol.dispose]()
  assert.equal(descriptors(), 0, 'every dma-buf is closed')
})

const layout = { pages: 16, pageSize: PAGE }
providerConformance('udmabufProvider', () => kept(udmabufProvider(layout)))
providerConformance('udmabufProvider, shared', () =>
  kept(udmabufProvider({ ...layout, shared: true })),
)
providerConformance('udmabufProvider, net_iovs', () => {
  const provider = kept(udmabufProvider({ ...layout, kind: 'net_iov' }))
  provider.bindTo({ id: 7 })
  return provider
})
providerConformance('dmaHeapProvider', () => kept(dmaHeapProvider({ ...layout, heap: 'system' })))
providerConformance('dmaHeapProvider, net_iovs', () => {
  const provider = kept(dmaHeapProvider({ ...layout, kind: 'net_iov' }))
  provider.bindTo({ id: 7 })
  return provider
})

const exporters = [
  { name: 'udmabuf', exporter: 'udmabuf', make: (bytes: number) => createUdmabuf({ bytes }) },
  {
    name: 'dma heap',
    exporter: 'system',
    make: (bytes: number) => createDmaHeapBuffer({ heap: 'system', bytes }),
  },
]

for (const { name, exporter, make } of exporters) {
  describe(`A dma-buf of ${name}`, () => {
    it('is what the kernel says it is', () => {
      using dmabuf = make(MIB)
      assert.equal(dmabuf.exporter, exporter)
      assert.equal(dmabuf.bytes, MIB)
      const info = readFileSync(`/proc/self/fdinfo/${dmabuf.fd}`, 'utf8')
      assert.match(info, new RegExp(`^size:\t${MIB}$`, 'm'))
      assert.match(info, new RegExp(`^exp_name:\t${exporter}$`, 'm'))
    })

    it('is zeroed memory that two mappings share', () => {
      using dmabuf = make(MIB)
      using one = dmabuf.map()
      using other = dmabuf.map({ shared: true })
      assert.ok(other.bytes.buffer instanceof SharedArrayBuffer)
      for (const access of ['read', 'write', 'read-write'] as const) {
        using _ = dmabuf.sync(access)
        assert.equal(one.bytes[MIB - 1], 0)
      }
      const writing = dmabuf.sync('write')
      one.bytes[12345] = 67
      writing.end()
      writing.end()
      assert.equal(other.bytes[12345], 67)
      one.unmap()
      one.unmap()
      assert.equal(one.bytes[12345], 0, 'the view is valid and sees nothing')
      assert.equal(other.bytes[12345], 67)
    })

    it('is closed once, and says so afterwards', () => {
      const dmabuf = make(MIB)
      const access = dmabuf.sync('read')
      dmabuf.close()
      dmabuf.close()
      access.end()
      assert.equal(dmabuf.open, false)
      assert.throws(() => dmabuf.fd, failsWith('NETMEM_DMABUF_CLOSED'))
      assert.throws(() => dmabuf.sync('read'), failsWith('NETMEM_DMABUF_CLOSED'))
      assert.throws(() => dmabuf.map(), failsWith('NETMEM_DMABUF_CLOSED'))
    })

    it('is never pages and net_iovs at once', () => {
      using dmabuf = make(MIB)
      const release = dmabuf.claim('page')
      assert.throws(() => dmabuf.claim('net_iov'), failsWith('NETMEM_DMABUF_IN_USE', /as pages/))
      release()
      const bound = dmabuf.claim('net_iov')
      const again = dmabuf.claim('net_iov')
      bound()
      bound()
      assert.throws(() => dmabuf.claim('page'), failsWith('NETMEM_DMABUF_IN_USE', /net_iovs/))
      again()
      dmabuf.claim('page')()
    })

    it('comes and goes 300 times without a descriptor or a byte left', () => {
      const before = [descriptors(), availableKiB()] as const
      for (let nth = 0; nth < 300; nth++) make(128 * PAGE).close()
      assert.equal(descriptors(), before[0])
      // 150 MiB were allocated. Other programs of the guest take and give some memory.
      assert.ok(before[1] - availableKiB() < 75 * 1024, `${before[1] - availableKiB()} KiB stay`)
    })
  })
}

describe('createUdmabuf', () => {
  it('takes no size that is not whole pages', () => {
    for (const bytes of [1, PAGE - 1, PAGE + 1]) {
      assert.throws(
        () => createUdmabuf({ bytes }),
        failsWith('NETMEM_DMABUF_UNALIGNED', /Take \d+/),
      )
    }
    assert.throws(
      () => createUdmabuf({ bytes: MIB, hugePages: true }),
      failsWith('NETMEM_DMABUF_UNALIGNED', /Take 2097152/),
    )
  })

  it("names the limit of the kernel's module", () => {
    const before = readFileSync(SIZE_LIMIT, 'utf8')
    try {
      writeFileSync(SIZE_LIMIT, '1')
      createUdmabuf({ bytes: MIB }).close()
      assert.throws(
        () => createUdmabuf({ bytes: MIB + PAGE }),
        failsWith('NETMEM_UDMABUF_LIMIT', /echo 2 > .*size_limit_mb/),
      )
    } finally {
      writeFileSync(SIZE_LIMIT, before)
    }
  })

  it('has no memory of a NUMA node that is not there', () => {
    createUdmabuf({ bytes: MIB, numaNode: 0 }).close()
    assert.throws(
      () => createUdmabuf({ bytes: MIB, numaNode: 9 }),
      failsWith('NETMEM_NUMA_NODE', /node 9/),
    )
  })
})

describe('Providers', () => {
  it('give no binding before there is one', () => {
    using provider = udmabufProvider({ ...layout, kind: 'net_iov' })
    assert.throws(() => provider.binding, failsWith('NETMEM_DMABUF_UNBOUND', /bindRx/))
  })

  it('end in every order with their pools, dma-bufs and mappings', async () => {
    const steps = ['provider', 'pool', 'page', 'dmabuf', 'mapping'] as const
    for (const order of permutations(steps)) {
      const provider = udmabufProvider(layout)
      const mapping = provider.dmabuf.map()
      const pool = createPool(provider)
      const page = pool.alloc()
      assert.ok(page !== undefined)
      let destroyed: Promise<void> | undefined
      const end = {
        provider: () => provider.close(),
        pool: () => {
          destroyed = pool.destroy()
        },
        page: () => pool.put(page),
        dmabuf: () => provider.dmabuf.close(),
        mapping: () => mapping.unmap(),
      }
      for (const step of order) end[step]()
      await destroyed
      assert.throws(() => createPool(provider), failsWith('NETMEM_DMABUF_CLOSED'))
    }
  })

  it('fill a pool that receives on ordinary sockets', async () => {
    using provider = udmabufProvider({ pages: 8, pageSize: 64 * 1024 })
    await receivesPayload(provider)
  })
})

describe('adoptDmaBuf', () => {
  it('takes over a dma-buf of other code', () => {
    using made = createDmaHeapBuffer({ bytes: MIB })
    const dmabuf = adoptDmaBuf(dup(made.fd).release())
    assert.deepEqual([dmabuf.exporter, dmabuf.bytes], ['system', MIB])
    dmabuf.close()
  })

  it('takes over nothing else', () => {
    const file = openSync('/proc/self/status', 'r')
    for (const fd of [file, 12_345]) {
      assert.throws(() => adoptDmaBuf(fd), failsWith('NETMEM_NOT_A_DMABUF'))
    }
    assert.equal(readSync(file, Buffer.alloc(4)), 4, 'the descriptor is still its own')
  })
})

describe('A worker that is terminated in the middle', () => {
  it('leaves no descriptor', async () => {
    const before = descriptors()
    const worker = new Worker(new URL('./dma-buf.test.worker.js', import.meta.url))
    await once(worker, 'message')
    await worker.terminate()
    assert.equal(descriptors(), before)
  })
})

describe('dmaHeaps', () => {
  it('lists the heaps, and a heap that is not there is answered with them', () => {
    assert.ok(dmaHeaps().includes('system'))
    assert.throws(
      () => createDmaHeapBuffer({ heap: 'none-such', bytes: PAGE }),
      failsWith('NETMEM_DMA_HEAP_UNAVAILABLE', /\(ENOENT\).*system/),
    )
  })
})
