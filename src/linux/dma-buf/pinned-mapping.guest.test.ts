// The kernel pins the memory of a mapping for reads, for sends without a copy, and for io_uring.
import assert from 'node:assert/strict'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import {
  AF_INET,
  accept4,
  addressOf,
  bind,
  connect as connectSocket,
  getsockname,
  inetAddress,
  listen,
  MSG_ZEROCOPY,
  Pinned,
  read,
  SO_ZEROCOPY,
  SOCK_STREAM,
  SOL_SOCKET,
  SocketMessage,
  setsockoptInt,
  socket,
} from '../sys/index.ts'
import { libc } from '../sys/libc.ts'
import { createDmaHeapBuffer, createUdmabuf } from './index.ts'

const PAGE = 4096
const MIB = 2 ** 20

describe('The host reads into a mapping', () => {
  // The checkout is on 9p, which pins the pages that it reads into (net/9p/trans_virtio.c).
  const path = fileURLToPath(import.meta.url)
  const own = readFileSync(path)
  const direct = openSync(path, constants.O_RDONLY | constants.O_DIRECT)

  it("by O_DIRECT into a udmabuf's, which is the memfd's", () => {
    using dmabuf = createUdmabuf({ bytes: MIB })
    using mapping = dmabuf.map()
    assert.equal(readSync(direct, mapping.bytes, 0, PAGE, 0), PAGE)
    assert.deepEqual(mapping.bytes.subarray(0, 100), new Uint8Array(own.subarray(0, 100)))
  })

  it("and not into a dma-buf's own: the kernel refuses to pin it", () => {
    using dmabuf = createDmaHeapBuffer({ bytes: MIB })
    using mapping = dmabuf.map()
    assert.throws(() => readSync(direct, mapping.bytes, 0, PAGE, 0), /EFAULT/)
  })
})

describe('The host sends from a mapping without a copy', () => {
  /** Sends a page of `bytes` by MSG_ZEROCOPY over lo, and returns what arrives. */
  function send(bytes: Uint8Array): Uint8Array {
    using listener = socket(AF_INET, SOCK_STREAM)
    const anywhere = inetAddress('127.0.0.1', 0)
    assert.ok(anywhere !== undefined)
    bind(listener.fd, anywhere)
    listen(listener.fd, 1)
    using sender = socket(AF_INET, SOCK_STREAM)
    connectSocket(sender.fd, getsockname(listener.fd))
    using receiver = accept4(listener.fd, 0) ?? assert.fail('connected')
    setsockoptInt(sender.fd, SOL_SOCKET, SO_ZEROCOPY, 1)
    const message = new SocketMessage()
    message.setBytes(0, bytes.subarray(0, PAGE))
    assert.equal(message.send(sender.fd, MSG_ZEROCOPY), PAGE)
    const received = new Uint8Array(PAGE)
    assert.equal(read(receiver.fd, received), PAGE)
    return received
  }

  it("of a udmabuf, which is the memfd's", () => {
    using dmabuf = createUdmabuf({ bytes: MIB })
    using mapping = dmabuf.map()
    mapping.bytes.fill(9, 0, PAGE)
    assert.ok(send(mapping.bytes).every((byte) => byte === 9))
  })

  it("and not of a dma-buf's own", () => {
    using dmabuf = createDmaHeapBuffer({ bytes: MIB })
    using mapping = dmabuf.map()
    assert.throws(() => send(mapping.bytes), failsWith('NETMEM_SYSCALL_FAILED', /EFAULT/))
  })
})

describe('io_uring registers a mapping as its buffer', () => {
  /** Numbers of x86-64 and arm64. K: include/uapi/asm-generic/unistd.h, include/uapi/linux/io_uring.h. */
  const SYS_IO_URING_SETUP = 425
  const SYS_IO_URING_REGISTER = 427
  const IORING_REGISTER_BUFFERS = 0
  const IO_URING_PARAMS_BYTES = 120

  /** Registers the first page of `bytes`, and returns the errno, or 0. */
  function register(bytes: Uint8Array): number {
    const { syscall, errno } = libc()
    const parameters = new Pinned(IO_URING_PARAMS_BYTES)
    const ring = syscall(SYS_IO_URING_SETUP, 1, parameters.address, 0, 0, 0, 0)
    assert.ok(ring >= 0, `io_uring_setup: errno ${errno()}`)
    const iovec = new Pinned(16)
    iovec.setUint64(0, addressOf(bytes))
    iovec.setUint64(8, PAGE)
    const done = syscall(
      SYS_IO_URING_REGISTER,
      ring,
      IORING_REGISTER_BUFFERS,
      iovec.address,
      1,
      0,
      0,
    )
    const refused = done === -1 ? errno() : 0
    closeSync(ring)
    return refused
  }

  it("of a udmabuf, which is the memfd's", () => {
    using dmabuf = createUdmabuf({ bytes: MIB })
    using mapping = dmabuf.map()
    assert.equal(register(mapping.bytes), 0)
  })

  it("and not of a dma-buf's own", () => {
    using dmabuf = createDmaHeapBuffer({ bytes: MIB })
    using mapping = dmabuf.map()
    assert.equal(register(mapping.bytes), osConstants.errno.EFAULT)
  })
})
