// Addresses of sockets, compared with what the kernel says of sockets that Node.js has opened.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Random } from '../../random.ts'
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  accept4,
  bind,
  connect,
  getsockname,
  inetAddress,
  LinuxError,
  listen,
  netlinkAddress,
  netlinkPort,
  parseInetAddress,
  read,
  SHUT_WR,
  SOCK_STREAM,
  shutdown,
  socket,
  unixAddress,
  write,
} from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

function some<T>(value: T | undefined): T {
  assert.ok(value !== undefined)
  return value
}

describe('addresses', () => {
  it('of IPv4 and IPv6 are read as they were written', () => {
    for (const [host, written] of [
      ['127.0.0.1', '127.0.0.1'],
      ['192.0.2.255', '192.0.2.255'],
      ['::', '::'],
      ['::1', '::1'],
      ['2001:db8::1', '2001:db8::1'],
      ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
      ['fe80::', 'fe80::'],
      ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ] as const) {
      const address = some(inetAddress(host, 5201))
      assert.deepEqual(parseInetAddress(address), { host: written, port: 5201 })
    }
    assert.deepEqual([...some(inetAddress('1.2.3.4', 258))].slice(0, 8), [2, 0, 1, 2, 1, 2, 3, 4])
    const six = [...some(inetAddress('1:2::ff00', 1))]
    assert.deepEqual(six.slice(8, 24), [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0])
  })

  it('that are invalid are undefined', () => {
    for (const host of ['', 'localhost', '1.2.3', '::g', 'fe80::1%lo', '[::1]']) {
      assert.equal(inetAddress(host, 1), undefined)
    }
    assert.equal(parseInetAddress(new Uint8Array(0)), undefined)
    assert.equal(parseInetAddress(new Uint8Array([2, 0, 1, 2])), undefined)
    assert.equal(parseInetAddress(netlinkAddress()), undefined)
    assert.equal(netlinkPort(some(inetAddress('::1', 1))), undefined)
    assert.equal(netlinkPort(new Uint8Array(3)), undefined)
    assert.equal(netlinkPort(netlinkAddress(0xffffffff, 1)), 0xffffffff)
  })

  it('of any bytes are read without an exception', () => {
    const random = new Random(12)
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from({ length: random.below(40) }, () => random.below(256))
      if (bytes.length > 1) bytes.set([[AF_INET, AF_INET6, AF_NETLINK][round % 3] ?? 0, 0])
      const parsed = parseInetAddress(bytes)
      if (parsed !== undefined) {
        const again = some(inetAddress(parsed.host, parsed.port))
        assert.deepEqual(parseInetAddress(again), parsed)
      }
      netlinkPort(bytes)
    }
  })

  it('of Unix sockets have room for 107 bytes of a path', () => {
    assert.equal(unixAddress('x'.repeat(107))?.length, 110)
    assert.equal(unixAddress('x'.repeat(108)), undefined)
    assert.equal(unixAddress('\u20ac'.repeat(36)), undefined)
    assert.equal(unixAddress(`\0${'x'.repeat(107)}`)?.length, 110)
  })

  it('of TCP are bound, connected to and asked for', { skip }, () => {
    for (const [family, host] of [
      [AF_INET, '127.0.0.1'],
      [AF_INET6, '::1'],
    ] as const) {
      using server = socket(family, SOCK_STREAM)
      try {
        bind(server.fd, some(inetAddress(host, 0)))
      } catch (error) {
        // A machine without IPv6.
        assert.ok(error instanceof LinuxError && error.errno === 'EADDRNOTAVAIL' && host === '::1')
        continue
      }
      listen(server.fd, 1)
      const { port } = some(parseInetAddress(getsockname(server.fd)))
      assert.ok(port > 0)
      using client = socket(family, SOCK_STREAM)
      connect(client.fd, some(inetAddress(host, port)))
      using connection = some(accept4(server.fd, 0))
      write(client.fd, new Uint8Array([1, 2]))
      shutdown(client.fd, SHUT_WR)
      const bytes = new Uint8Array(9)
      assert.equal(read(connection.fd, bytes), 2)
      assert.equal(read(connection.fd, bytes), 0)
      assert.equal(parseInetAddress(getsockname(connection.fd))?.host, host)
    }
  })
})
