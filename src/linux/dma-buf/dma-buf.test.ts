// Sizes, seals, and refusals with their codes, on a machine without /dev/udmabuf.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import {
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  fcntl,
  ftruncate,
} from '../sys/index.ts'
import { checkHugePages, hugePages } from './huge-pages.ts'
import {
  adoptDmaBuf,
  createDmaHeapBuffer,
  createUdmabuf,
  dmaHeapProvider,
  dmaHeaps,
  udmabufProvider,
} from './index.ts'
import { sealedMemfd } from './udmabuf.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const MIB = 2 ** 20

describe('A memfd for a udmabuf', { skip }, () => {
  it('keeps its size', () => {
    using memfd = sealedMemfd(MIB, false)
    assert.equal(fcntl(memfd.fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW)
    for (const bytes of [0, MIB - 4096, MIB + 4096]) {
      assert.throws(() => ftruncate(memfd.fd, bytes), failsWith('NETMEM_SYSCALL_FAILED', /EPERM/))
    }
    // udmabuf refuses a memfd sealed against writing, and another seal can still be added.
    assert.equal(fcntl(memfd.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0)
  })
})

describe('Options of dma-bufs', { skip }, () => {
  const refused: readonly [string, () => unknown, string][] = [
    ['no bytes', () => createUdmabuf({ bytes: 0 }), 'NETMEM_OUT_OF_RANGE'],
    ['half a page', () => createUdmabuf({ bytes: 2048 }), 'NETMEM_DMABUF_UNALIGNED'],
    [
      'a number as text',
      () => createUdmabuf({ bytes: '4096' as never }),
      'NETMEM_INVALID_ARGUMENT',
    ],
    ['a node below 0', () => createUdmabuf({ bytes: 4096, numaNode: -1 }), 'NETMEM_OUT_OF_RANGE'],
    [
      'half a huge page',
      () => createUdmabuf({ bytes: MIB, hugePages: true }),
      'NETMEM_DMABUF_UNALIGNED',
    ],
    [
      'an unknown option',
      () => createUdmabuf({ bytes: 4096, huge: true } as never),
      'NETMEM_INVALID_ARGUMENT',
    ],
    ['no pages', () => udmabufProvider({ pages: 0 }), 'NETMEM_OUT_OF_RANGE'],
    ['a page of 5000', () => udmabufProvider({ pages: 1, pageSize: 5000 }), 'NETMEM_OUT_OF_RANGE'],
    [
      'pages of more than 4 GiB',
      () => udmabufProvider({ pages: 5, pageSize: 2 ** 30 }),
      'NETMEM_OUT_OF_RANGE',
    ],
    [
      'another kind of memory',
      () => udmabufProvider({ pages: 1, kind: 'gpu' as never }),
      'NETMEM_INVALID_ARGUMENT',
    ],
    [
      'a heap with a path',
      () => dmaHeapProvider({ pages: 1, heap: '../x' }),
      'NETMEM_INVALID_ARGUMENT',
    ],
    ['a heap without bytes', () => createDmaHeapBuffer({ bytes: 0 }), 'NETMEM_OUT_OF_RANGE'],
  ]
  for (const [what, call, wanted] of refused) {
    it(`refuse ${what}`, () => {
      assert.throws(call, failsWith(wanted))
    })
  }
})

describe('A machine that has no dma-bufs', { skip }, () => {
  it('says what it lacks, or has it', () => {
    if (existsSync('/dev/udmabuf')) createUdmabuf({ bytes: 4096 }).close()
    else {
      assert.throws(
        () => createUdmabuf({ bytes: 4096 }),
        failsWith('NETMEM_UDMABUF_UNAVAILABLE', /\(ENOENT\).*modprobe udmabuf.*--device/),
      )
    }
    if (dmaHeaps().length > 0) createDmaHeapBuffer({ bytes: 4096 }).close()
    else {
      assert.throws(
        () => createDmaHeapBuffer({ bytes: 4096 }),
        failsWith(
          'NETMEM_DMA_HEAP_UNAVAILABLE',
          /system cannot be opened.*CONFIG_DMABUF_HEAPS_SYSTEM/,
        ),
      )
    }
  })

  it('adopts no descriptor of something else', () => {
    const file = openSync('/proc/self/status', 'r')
    assert.throws(() => adoptDmaBuf(file), failsWith('NETMEM_NOT_A_DMABUF', /is something else/))
    assert.throws(() => adoptDmaBuf(1_000_000), failsWith('NETMEM_NOT_A_DMABUF', /is not open/))
    assert.throws(() => adoptDmaBuf(-1), failsWith('NETMEM_OUT_OF_RANGE'))
  })
})

describe('Huge pages', () => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-hugepages-'))
  const has = (reserved: number, free: number, promised: number): void => {
    writeFileSync(join(folder, 'nr_hugepages'), `${reserved}\n`)
    writeFileSync(join(folder, 'free_hugepages'), `${free}\n`)
    writeFileSync(join(folder, 'resv_hugepages'), `${promised}\n`)
  }

  it('are counted without those that are promised', () => {
    has(10, 6, 2)
    assert.deepEqual(hugePages(folder), { reserved: 10, free: 4 })
    checkHugePages(8 * MIB, folder)
    assert.throws(
      () => checkHugePages(8 * MIB + 1, folder),
      failsWith('NETMEM_HUGE_PAGES_SHORT', /5 huge pages.*4 of the 10.*nr_hugepages=11/),
    )
  })

  it('are empty where the kernel has none', () => {
    rmSync(folder, { recursive: true })
    assert.deepEqual(hugePages(folder), { reserved: 0, free: 0 })
    assert.throws(() => checkHugePages(1, folder), failsWith('NETMEM_HUGE_PAGES_SHORT'))
  })
})
