// Files in memory: seen by JavaScript, by other threads and by WebAssembly, and views that outlive them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { getuid } from 'node:process'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { firstOutput } from '../../testing/processes.test.helper.ts'
import { rounds } from '../../testing/rounds.test.helper.ts'
import {
  addressOf,
  CLONE_NEWNET,
  eventfd,
  F_ADD_SEALS,
  F_SEAL_SHRINK,
  type Fd,
  fcntl,
  ftruncate,
  isFd,
  LinuxError,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MFD_ALLOW_SEALING,
  MPOL_BIND,
  madvise,
  map,
  mbind,
  memfdCreate,
  memoryPageBytes,
  mmap,
  O_RDONLY,
  type OwnedFd,
  open,
  PROT_READ,
  PROT_WRITE,
  read,
  setns,
  write,
} from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const GIB = 1024 ** 3
// Numbers that only these tests use (K: include/uapi/asm-generic/mman-common.h, include/uapi/linux/mempolicy.h).
const MADV_DONTNEED = 4
const MPOL_PREFERRED = 1
const page = skip === false ? memoryPageBytes() : 4096

function fileOf(bytes: number): OwnedFd {
  const file = memfdCreate('netmem-mapping', MFD_ALLOW_SEALING)
  ftruncate(file.fd, bytes)
  fcntl(file.fd, F_ADD_SEALS, F_SEAL_SHRINK)
  return file
}

/** Reads a byte of the file behind the mapping's back. */
function byteOf(fd: Fd, at: number): number {
  using file = open(`/proc/self/fd/${fd}`, O_RDONLY)
  const bytes = new Uint8Array(at + 1)
  read(file.fd, bytes)
  return bytes[at] ?? -1
}

/** Returns the lines of this process's mappings that are of `fileOf()`. */
function mappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('memfd:netmem-mapping').length - 1
}

// (module (import "m" "m" (memory 1 65536 [shared])) (func (export "f") (param i32) (result i32)
//   local.get 0 i32.load8_u))
const loadByte = (shared: boolean): Uint8Array<ArrayBuffer> =>
  new Uint8Array([
    ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127],
    ...[2, 11, 1, 1, 109, 1, 109, 2, shared ? 3 : 1, 1, 128, 128, 4],
    ...[3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 45, 0, 0, 11],
  ])

describe('map', { skip }, () => {
  for (const shared of [false, true]) {
    const kind = shared ? 'shared' : 'plain'
    const mapOf = (fd: Fd, bytes: number, offset = 0) =>
      shared ? map(fd, bytes, { shared, offset }) : map(fd, bytes, { offset })

    it(`shows the file, and the file what is written (${kind})`, () => {
      using file = fileOf(4 * page)
      write(file.fd, new Uint8Array([1, 2, 3]))
      using mapping = mapOf(file.fd, 4 * page)
      assert.equal(mapping.bytes.buffer instanceof SharedArrayBuffer, shared)
      assert.equal(mapping.bytes.byteLength, 4 * page)
      assert.deepEqual([...mapping.bytes.subarray(0, 4)], [1, 2, 3, 0])
      mapping.bytes[3 * page] = 77
      using tail = mapOf(file.fd, page, 3 * page)
      assert.equal(tail.bytes[0], 77)
      tail.bytes[1] = 78
      assert.equal(mapping.bytes[3 * page + 1], 78)
      assert.equal(byteOf(file.fd, 3 * page), 77)
    })

    it(`leaves views that see nothing and change nothing (${kind})`, () => {
      using file = fileOf(2 * page)
      const mapping = mapOf(file.fd, 2 * page)
      const { bytes } = mapping
      bytes.fill(5)
      assert.equal(mappings(), 1)
      mapping.unmap()
      assert.equal(mappings(), 0)
      assert.ok(bytes.every((byte) => byte === 0))
      bytes.fill(6)
      mapping.unmap()
      assert.equal(bytes[2 * page - 1], 6)
      assert.equal(byteOf(file.fd, 0), 5)
    })

    it(`outlives its descriptor (${kind})`, () => {
      const file = fileOf(page)
      using mapping = mapOf(file.fd, page)
      file.close()
      mapping.bytes.fill(9)
      assert.equal(mapping.bytes[page - 1], 9)
    })

    it(`is memory for WebAssembly (${kind})`, () => {
      using file = fileOf(page)
      using mapping = mapOf(file.fd, page)
      const wasm: unknown = Reflect.get(globalThis, 'WebAssembly')
      assert.ok(typeof wasm === 'object' && wasm !== null)
      const make = (name: string, ...rest: unknown[]): object =>
        Reflect.construct(Reflect.get(wasm, name) as new () => object, rest)
      const instance = make('Instance', make('Module', loadByte(shared)), {
        m: { m: mapping.memory },
      })
      const { f } = Reflect.get(instance, 'exports') as { f: (at: number) => number }
      mapping.bytes[100] = 42
      assert.equal(f(100), 42)
      write(file.fd, new Uint8Array([43]))
      assert.equal(f(0), 43)
      mapping.unmap()
      assert.equal(f(100), 0)
    })

    it(`may have 3 GiB, and 4 (${kind})`, () => {
      for (const bytes of [3 * GIB, 4 * GIB]) {
        using file = fileOf(bytes)
        using mapping = mapOf(file.fd, bytes)
        assert.equal(mapping.bytes.byteLength, bytes)
        mapping.bytes[bytes - 1] = 3
        using tail = mapOf(file.fd, page, bytes - page)
        assert.equal(tail.bytes[page - 1], 3)
      }
    })
  }

  it('is seen by other threads, and gone for them when it is unmapped', async () => {
    using file = fileOf(page)
    const mapping = map(file.fd, page, { shared: true })
    mapping.bytes.set([1, 2, 3])
    const worker = new Worker(new URL('./mapping.test.worker.js', import.meta.url))
    worker.postMessage(mapping.bytes)
    assert.deepEqual(await once(worker, 'message'), [6])
    assert.equal(byteOf(file.fd, 0), 2)
    mapping.unmap()
    worker.postMessage(mapping.bytes)
    assert.deepEqual(await once(worker, 'message'), [0])
    assert.equal(byteOf(file.fd, 0), 2)
    await worker.terminate()
  })

  it('refuses what the kernel refuses, and what would end the process', () => {
    using file = fileOf(2 * page)
    const range = { code: 'NETMEM_OUT_OF_RANGE' }
    assert.throws(() => map(file.fd, 2 * page + 1), range)
    assert.throws(() => map(file.fd, page, { offset: 2 * page }), range)
    assert.throws(() => map(file.fd, 0), range)
    assert.throws(() => map(file.fd, 4 * GIB + 1), range)
    assert.throws(() => map(file.fd, page, { offset: 1 }), { errno: 'EINVAL', syscall: 'mmap' })
    using readOnly = open('/proc/self/exe', O_RDONLY)
    assert.throws(() => map(readOnly.fd, page), { errno: 'EACCES', syscall: 'mmap' })
    using counter = eventfd(0, 0)
    assert.throws(() => map(counter.fd, page), { errno: 'ENODEV', syscall: 'mmap' })
    assert.equal(mappings(), 0)
  })

  it('begins where huge pages do, and has whole ones', () => {
    const huge = 2 * 1024 * 1024
    using file = fileOf(4 * huge)
    for (let round = 0; round < 10; round++) {
      using mapping = map(file.fd, 2 * huge, { hugePageBytes: huge })
      assert.equal(addressOf(mapping.bytes) % huge, 0)
      mapping.bytes[2 * huge - 1] = 1
    }
    assert.throws(() => map(file.fd, 2 * huge + 1, { hugePageBytes: huge }), {
      code: 'NETMEM_OUT_OF_RANGE',
    })
  })

  it('-1 is no address', () => {
    const closed = 99_999
    assert.ok(isFd(closed))
    const flags = MAP_PRIVATE
    assert.throws(() => mmap(0, page, PROT_READ, flags, closed, 0), { errno: 'EBADF' })
    assert.throws(() => map(closed, page), { errno: 'EBADF', syscall: 'fstat' })
  })

  it('maps and unmaps over and over without a mapping left', () => {
    using file = fileOf(page)
    const count = rounds(200)
    for (let round = 1; round <= count; round++) {
      using mapping = map(file.fd, page, { shared: true })
      mapping.bytes[0] = round
    }
    assert.equal(mappings(), 0)
    assert.equal(byteOf(file.fd, 0), count & 255)
  })
})

describe('memory', { skip }, () => {
  const anonymous = (bytes: number): number =>
    mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, undefined, 0)

  it('madvise() drops pages', () => {
    using file = fileOf(page)
    const mapping = map(file.fd, page)
    mapping.unmap()
    mapping.bytes.fill(1)
    madvise(addressOf(mapping.bytes), page, MADV_DONTNEED)
    assert.equal(mapping.bytes[0], 0)
    assert.throws(() => madvise(addressOf(mapping.bytes) + 1, page, MADV_DONTNEED), {
      errno: 'EINVAL',
    })
  })

  it('mbind() says which nodes memory comes from', { skip: numa() }, () => {
    const address = anonymous(4 * page)
    const policy = (): string =>
      readFileSync('/proc/self/numa_maps', 'utf8')
        .split('\n')
        .find((line) => line.startsWith(`${address.toString(16).padStart(8, '0')} `)) ?? ''
    mbind(address, 4 * page, MPOL_BIND, [0])
    assert.match(policy(), / bind:0\b/)
    mbind(address, 4 * page, MPOL_PREFERRED, [0])
    assert.match(policy(), / prefer(red)?:0\b/)
    assert.throws(() => mbind(address, page, MPOL_BIND, [999]), { errno: 'EINVAL' })
    // The last bit of a word counts too: without it the list is empty, which "preferred" allows.
    assert.throws(() => mbind(address, page, MPOL_PREFERRED, [63]), { errno: 'EINVAL' })
  })

  it('setns() moves this thread, for root alone', async () => {
    const interfaces = (): string => readFileSync('/proc/thread-self/net/dev', 'utf8')
    const other = spawn('unshare', [
      ...(getuid?.() === 0 ? [] : ['-r']),
      '-n',
      'sh',
      '-c',
      'echo; read x',
    ])
    await firstOutput(other)
    const before = interfaces()
    using home = open('/proc/thread-self/ns/net', O_RDONLY)
    using away = open(`/proc/${other.pid}/ns/net`, O_RDONLY)
    try {
      setns(away.fd, CLONE_NEWNET)
      assert.equal(getuid?.(), 0)
      try {
        assert.equal(interfaces().trim().split('\n').length, 3)
      } finally {
        setns(home.fd, CLONE_NEWNET)
      }
      assert.equal(interfaces().split('\n').length, before.split('\n').length)
    } catch (error) {
      if (!(error instanceof LinuxError)) throw error
      assert.equal(error.errno, 'EPERM')
    }
    other.stdin.end('\n')
    await once(other, 'close')
  })
})

function numa(): string | false {
  if (skip !== false) return skip
  try {
    readFileSync('/proc/self/numa_maps')
    return false
  } catch {
    return 'this kernel has no NUMA (CONFIG_NUMA)'
  }
}
