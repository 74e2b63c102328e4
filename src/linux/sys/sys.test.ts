// The calls against the kernel itself.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openDescriptors } from '../../testing/descriptors.test.helper.ts'
import {
  AF_UNIX,
  accept4,
  bind,
  connect,
  controlSpace,
  dup,
  EFD_NONBLOCK,
  eventfd,
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_SHRINK,
  fcntl,
  ftruncate,
  getsockname,
  getsockoptInt,
  LinuxError,
  listen,
  MFD_ALLOW_SEALING,
  MSG_DONTWAIT,
  memfdCreate,
  O_RDONLY,
  open,
  POLLIN,
  PollSet,
  read,
  SO_RCVLOWAT,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  SocketMessage,
  setsockoptInt,
  socket,
  socketpair,
  unixAddress,
  write,
} from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

function some<T>(value: T | undefined): T {
  assert.ok(value !== undefined)
  return value
}

describe('system calls', { skip }, () => {
  it('open, read and close a file', () => {
    const before = openDescriptors()
    using file = open('/proc/self/stat', O_RDONLY)
    const bytes = new Uint8Array(16)
    assert.equal(read(file.fd, bytes), 16)
    assert.match(new TextDecoder().decode(bytes), new RegExp(`^${process.pid} `))
    file.close()
    file.close()
    assert.throws(() => file.fd, { code: 'NETMEM_FD_CLOSED' })
    assert.deepEqual(openDescriptors(), before)
  })

  it('name the error, the call and a remedy', () => {
    assert.throws(
      () => open('/nowhere/at/all', O_RDONLY),
      (error) => {
        assert.ok(error instanceof LinuxError)
        assert.equal(error.code, 'NETMEM_SYSCALL_FAILED')
        assert.equal(error.errno, 'ENOENT')
        assert.equal(error.syscall, 'open')
        assert.match(
          error.message,
          /^open \(\/nowhere\/at\/all\): No such file or directory \(ENOENT\)\. \w.*\.$/,
        )
        return true
      },
    )
  })

  it('return undefined where they would have to wait', () => {
    using counter = eventfd(0, EFD_NONBLOCK)
    const value = new BigUint64Array(1)
    assert.equal(read(counter.fd, value), undefined)
    assert.equal(write(counter.fd, new BigUint64Array([3n])), 8)
    assert.equal(read(counter.fd, value), 8)
    assert.equal(value[0], 3n)
  })

  it('seal and size a memfd', () => {
    using file = memfdCreate('netmem-test', MFD_ALLOW_SEALING)
    ftruncate(file.fd, 8192)
    fcntl(file.fd, F_ADD_SEALS, F_SEAL_SHRINK)
    assert.equal(fcntl(file.fd, F_GET_SEALS), F_SEAL_SHRINK)
    assert.throws(() => ftruncate(file.fd, 4096), { errno: 'EPERM', syscall: 'ftruncate' })
    using other = dup(file.fd)
    assert.notEqual(other.fd, file.fd)
    assert.equal(fcntl(other.fd, F_GET_SEALS), F_SEAL_SHRINK)
  })

  it('accept a connection of a Unix socket', () => {
    using server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK)
    const address = some(unixAddress(`\0netmem-sys-${process.pid}`))
    bind(server.fd, address)
    listen(server.fd, 1)
    assert.deepEqual(getsockname(server.fd), address)
    assert.equal(accept4(server.fd, 0), undefined)
    using client = socket(AF_UNIX, SOCK_STREAM)
    connect(client.fd, address)
    using connection = some(accept4(server.fd, SOCK_NONBLOCK))
    write(client.fd, new Uint8Array([1, 2, 3]))
    const bytes = new Uint8Array(9)
    assert.equal(read(connection.fd, bytes), 3)
    assert.equal(read(connection.fd, bytes), undefined)
  })

  it('read and write options of a socket', () => {
    using one = socket(AF_UNIX, SOCK_STREAM)
    setsockoptInt(one.fd, SOL_SOCKET, SO_RCVLOWAT, 77)
    assert.equal(getsockoptInt(one.fd, SOL_SOCKET, SO_RCVLOWAT), 77)
    assert.throws(() => setsockoptInt(one.fd, SOL_SOCKET, 9999, 1), { errno: 'ENOPROTOOPT' })
  })

  it('gather, scatter and pass descriptors', () => {
    const before = openDescriptors()
    const [one, other] = socketpair(AF_UNIX, SOCK_STREAM)
    const file = memfdCreate('passed', 0)
    ftruncate(file.fd, 4096)
    const sent = new SocketMessage({ vectors: 2, controlBytes: controlSpace(8) })
    sent.setBytes(0, new Uint8Array([1, 2, 3]))
    sent.setBytes(1, new Uint8Array([4, 5]))
    sent.setDescriptors([file.fd, one.fd])
    const received = new SocketMessage({ vectors: 2, controlBytes: controlSpace(8) })
    const [head, body] = [new Uint8Array(1), new Uint8Array(100)]
    received.setBytes(0, head)
    received.setBytes(1, body)
    assert.equal(received.receive(other.fd, MSG_DONTWAIT), undefined)
    assert.deepEqual(received.takeDescriptors(), [])
    for (let round = 0; round < 3; round++) {
      assert.equal(sent.send(one.fd), 5)
      assert.equal(received.receive(other.fd), 5)
      assert.deepEqual([...head, ...body.subarray(0, 4)], [1, 2, 3, 4, 5])
      assert.equal(received.controlTruncated, false)
      const [passed, peer] = received.takeDescriptors()
      using a = some(passed)
      using b = some(peer)
      assert.deepEqual(received.takeDescriptors(), [])
      ftruncate(a.fd, 100)
      write(b.fd, new Uint8Array([9]))
      assert.equal(read(other.fd, new Uint8Array(2)), 1)
    }
    const small = new SocketMessage({ controlBytes: controlSpace(0) })
    small.setBytes(0, new Uint8Array(9))
    sent.send(one.fd)
    small.receive(other.fd)
    assert.equal(small.controlTruncated, true)
    assert.deepEqual(small.takeDescriptors(), [])
    assert.throws(() => sent.setDescriptors([one.fd, one.fd, one.fd]), {
      code: 'NETMEM_OUT_OF_RANGE',
    })
    assert.throws(() => sent.setBytes(2, head), { code: 'NETMEM_OUT_OF_RANGE' })
    for (const each of [one, other, file]) each.close()
    assert.deepEqual(openDescriptors(), before)
  })

  it('take the descriptors of each control message, and none of one that is cut', () => {
    const before = openDescriptors()
    const message = new SocketMessage({ controlBytes: 2 * controlSpace(4) })
    const [first, second] = [open('/proc/self/stat', O_RDONLY), open('/proc/self/stat', O_RDONLY)]
    const fds = [first.release(), second.release()]
    message.setDescriptors(fds.slice(0, 1))
    const one = message.control.slice(0, controlSpace(4))
    message.setDescriptors(fds.slice(1))
    // The data of a control message is padded to 8 bytes.
    message.control.copyWithin(controlSpace(4), 0, controlSpace(4))
    message.control.set(one, 0)
    message.controlLength = 2 * controlSpace(4)
    const taken = message.takeDescriptors()
    assert.deepEqual(
      taken.map(({ fd }) => fd),
      fds,
    )
    for (const each of taken) each.close()
    message.controlLength = controlSpace(4) - 5
    assert.deepEqual(message.takeDescriptors(), [])
    assert.deepEqual(openDescriptors(), before)
  })

  it('send and receive without garbage', () => {
    const [near, far] = socketpair(AF_UNIX, SOCK_STREAM)
    const sent = new SocketMessage()
    const received = new SocketMessage({ nameBytes: 16, controlBytes: controlSpace(4) })
    const [out, into] = [new Uint8Array(8), new Uint8Array(8)]
    sent.setBytes(0, out)
    received.setBytes(0, into)
    const exchange = (times: number): void => {
      for (let n = 0; n < times; n++) {
        sent.send(near.fd)
        received.receive(far.fd, MSG_DONTWAIT)
        received.receive(far.fd, MSG_DONTWAIT)
      }
    }
    const measured = 2000
    let bytes = Number.POSITIVE_INFINITY
    // Code that is not compiled yet makes garbage of its own, so the best of several counts is taken.
    for (let counts = 0; counts < 30 && bytes >= 64; counts++) {
      globalThis.gc?.()
      const before = process.memoryUsage().heapUsed
      exchange(measured)
      bytes = Math.min(bytes, (process.memoryUsage().heapUsed - before) / measured)
    }
    assert.ok(bytes < 64, `${bytes} bytes for each exchange`)
    near.close()
    far.close()
  })

  it('wait for events of several descriptors', () => {
    using one = eventfd(0, 0)
    using other = eventfd(0, 0)
    const set = new PollSet(3)
    set.set(0, one.fd, POLLIN)
    set.set(2, other.fd, POLLIN)
    assert.equal(set.wait(0), 0)
    write(other.fd, new BigUint64Array([1n]))
    assert.equal(set.wait(-1), 1)
    assert.deepEqual(
      [0, 1, 2].map((index) => set.events(index)),
      [0, 0, POLLIN],
    )
    set.clear(2)
    assert.equal(set.wait(0), 0)
  })
})
