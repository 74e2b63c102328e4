import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConnectionError } from '../../../errors.ts'
import { release } from '../../../netmem.ts'
import { assertCode, codeOf, end, some } from '../../../testing/pools.test.helper.ts'
import {
  type ControlMessage,
  DEVMEM_CMSG_SPACE,
  parseControl,
} from '../../../wire/control-messages.ts'
import { DeviceError, type Errno } from '../../device-error.ts'
import type { AnySkb } from '../skb/skb.ts'
import {
  type IovSource,
  iovSource,
  makings,
  type PageSource,
  pageSource,
  pattern,
} from '../skb/skbs.test.helper.ts'
import { DevmemSocket } from './devmem-socket.ts'
import { MSG_PEEK, MSG_SOCK_DEVMEM } from './messages.ts'

interface Received {
  readonly bytes: number
  readonly data: Uint8Array
  readonly messages: ControlMessage[]
}

/** One call with an iovec of `length` bytes and room for `messages` control messages. */
function recv(
  socket: DevmemSocket,
  length: number,
  messages = 64,
  flags = MSG_SOCK_DEVMEM,
): Received {
  const control = new Uint8Array(messages * DEVMEM_CMSG_SPACE + 39)
  const data = new Uint8Array(length)
  // In two parts, of which one may be empty.
  const iov = [data.subarray(0, length >> 1), data.subarray(length >> 1)]
  const received = socket.recvmsg({ iov, control, flags })
  assert.equal(received.flags, 0)
  return { bytes: received.bytes, data, messages: parseControl(control, received.controlBytes) }
}

function errnoOf(action: () => unknown): Errno {
  try {
    action()
  } catch (error) {
    if (error instanceof DeviceError) return error.errno
  }
  return assert.fail('not a DeviceError')
}

const iovPiece = (netmem: number, length: number, offset = 0) => ({ netmem, offset, length })

async function endAll(...sources: (PageSource | IovSource)[]): Promise<void> {
  await end(...sources.map(({ pool }) => pool))
}

for (const flags of [0, MSG_SOCK_DEVMEM]) {
  test(`ordinary data is received as usual, with flags ${flags}`, async () => {
    const source = pageSource()
    const socket = new DevmemSocket()
    const bytes = pattern(10_000)
    assert.ok(socket.queue(source.of(bytes.subarray(0, 6000), 100)))
    assert.ok(socket.queue(source.of(bytes.subarray(6000))))
    const out: number[] = []
    for (const length of [1, 98, 2, 4032, 5000, 1000]) {
      const { bytes: count, data, messages } = recv(socket, length, 0, flags)
      out.push(...data.subarray(0, count))
      assert.deepEqual(messages, [])
    }
    assert.deepEqual(Uint8Array.from(out), bytes)
    assert.equal(source.pool.out, 0)
    assert.equal(
      errnoOf(() => recv(socket, 1, 0, flags)),
      'EAGAIN',
    )
    assertCode('NETMEM_WOULD_BLOCK', () => recv(socket, 1, 0, flags))
    assert.equal(recv(socket, 0).bytes, 0)
    socket.fin()
    assert.equal(recv(socket, 1).bytes, 0)
    assert.equal(socket.stats().hostBytes, 10_000)
    socket.close()
    await endAll(source)
  })
}

for (const making of makings) {
  test(`device memory is received as control messages: ${making} pools`, async () => {
    const source = iovSource(64, making)
    const socket = new DevmemSocket()
    socket.queue(source.skb([iovPiece(0, 100, 50), iovPiece(1, 4096)], pattern(10)))
    socket.queue(source.skb([iovPiece(0, 7, 150)], pattern(3, 99)))
    const { bytes, data, messages } = recv(socket, 10_000)
    assert.equal(bytes, 10 + 100 + 4096 + 3 + 7)
    const dmabuf = { kind: 'dmabuf', dmabufId: 1, flags: 0 }
    const [first, second, third, fourth, fifth] = messages
    const offset = source.provider.offset(source.netmem(0))
    const offset1 = source.provider.offset(source.netmem(1))
    assert.deepEqual(first, { kind: 'linear', fragSize: 10 })
    assert.deepEqual(second, { ...dmabuf, fragOffset: offset + 50, fragSize: 100, fragToken: 1 })
    assert.deepEqual(third, { ...dmabuf, fragOffset: offset1, fragSize: 4096, fragToken: 2 })
    assert.deepEqual(fourth, { kind: 'linear', fragSize: 3 })
    assert.deepEqual(fifth, { ...dmabuf, fragOffset: offset + 150, fragSize: 7, fragToken: 3 })
    // Linear bytes alone fill the iovec, one after the other.
    assert.deepEqual(data.subarray(0, 14), Uint8Array.of(...pattern(10), ...pattern(3, 99), 0))
    for (const number of [0, 1]) {
      const iov = source.netmem(number)
      release(iov)
      release(iov)
    }
    assert.equal(source.pool.out, 2)
    assert.equal(socket.dontneed([{ start: 1, count: 3 }]), 3)
    assert.equal(source.pool.out, 0)
    assert.deepEqual(socket.stats(), {
      hostBytes: 13,
      deviceBytes: 4203,
      minted: 3,
      tokens: 0,
      queuedBytes: 0,
      dropped: 0,
    })
    socket.close()
    await endAll(source)
  })
}

test('one call never returns readable and unreadable data together', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const socket = new DevmemSocket()
  socket.queue(pages.of(pattern(10)))
  socket.queue(iovs.skb([iovPiece(0, 20)]))
  // All of its payload landed with the headers: readable, whatever its kind.
  socket.queue(iovs.skb([], pattern(30)))
  socket.queue(pages.of(pattern(5)))
  for (const [bytes, messages] of [
    [10, 0],
    [20, 1],
    [35, 0],
  ] as const) {
    const received = recv(socket, 1000)
    assert.deepEqual([received.bytes, received.messages.length], [bytes, messages])
  }
  socket.close()
  await endAll(pages, iovs)
})

test('without the flag, and for a peek, unreadable data is EFAULT, after what is readable', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const socket = new DevmemSocket()
  socket.queue(pages.of(pattern(10)))
  socket.queue(iovs.skb([iovPiece(0, 20)], pattern(5)))
  for (let times = 0; times < 2; times++) {
    const { bytes, data } = recv(socket, 100, 64, MSG_PEEK | MSG_SOCK_DEVMEM)
    assert.equal(bytes, 10)
    assert.deepEqual(data.subarray(0, 10), pattern(10))
  }
  assert.equal(recv(socket, 4, 0, MSG_PEEK).bytes, 4)
  assert.equal(recv(socket, 3, 0, 0).bytes, 3)
  assert.deepEqual(recv(socket, 7, 0, MSG_PEEK).data, pattern(10).subarray(3))
  assert.equal(recv(socket, 100, 0, 0).bytes, 7)
  for (const flags of [0, MSG_PEEK, MSG_PEEK | MSG_SOCK_DEVMEM]) {
    assertCode('NETMEM_UNREADABLE', () => recv(socket, 100, 64, flags))
    assert.equal(
      errnoOf(() => recv(socket, 100, 64, flags)),
      'EFAULT',
    )
  }
  assert.equal(socket.stats().minted, 0)
  assert.equal(recv(socket, 100).bytes, 25)
  socket.close()
  await endAll(pages, iovs)
})

test('regression: a peek that mints tokens', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  socket.queue(source.skb([iovPiece(0, 20)]))
  codeOf(() => recv(socket, 100, 64, MSG_PEEK | MSG_SOCK_DEVMEM))
  assert.equal(socket.stats().minted, 0)
  assert.equal(socket.dontneed([{ start: 0, count: 1024 }]), 0)
  socket.close()
  await endAll(source)
})

test('the iovec’s length limits, and what a frag is read in has a token and a reference each', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  socket.queue(source.skb([iovPiece(0, 100), iovPiece(0, 50, 100)], pattern(10)))
  const offset = source.provider.offset(source.netmem(0))
  const parts: (readonly [number, number])[] = []
  for (const length of [4, 10, 60, 40, 100]) {
    for (const message of recv(socket, length).messages) {
      if (message.kind === 'dmabuf') parts.push([message.fragOffset - offset, message.fragSize])
      else if (message.kind === 'linear') parts.push([-1, message.fragSize])
    }
  }
  assert.deepEqual(parts, [
    [-1, 4],
    [-1, 6],
    [0, 4],
    [4, 60],
    [64, 36],
    [100, 4],
    [104, 46],
  ])
  const iov = source.netmem(0)
  // This test's own two, and one a token.
  assert.equal(socket.stats().tokens, 5)
  release(iov)
  release(iov)
  for (const start of [3, 1, 5, 2]) assert.equal(socket.dontneed([{ start, count: 1 }]), 1)
  assert.equal(source.pool.out, 1)
  assert.equal(socket.dontneed([{ start: 4, count: 1 }]), 1)
  assert.equal(source.pool.out, 0)
  socket.close()
  await endAll(source)
})

test('control space limits: 525 where not one message fits', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  socket.queue(source.skb([iovPiece(0, 100), iovPiece(1, 50)], pattern(10)))
  for (const control of [undefined, new Uint8Array(39)]) {
    const read = (): unknown =>
      socket.recvmsg({
        iov: [new Uint8Array(100)],
        flags: MSG_SOCK_DEVMEM,
        ...(control === undefined ? {} : { control }),
      })
    assertCode('NETMEM_CONTROL_SPACE', read)
    assert.equal(errnoOf(read), 'ETOOSMALL')
  }
  assert.deepEqual(recv(socket, 1000, 1).messages, [{ kind: 'linear', fragSize: 10 }])
  assert.equal(recv(socket, 1000, 1).bytes, 100)
  assert.equal(recv(socket, 1000, 1).bytes, 50)
  socket.close()
  await endAll(source)
})

test('a net_iov of another binding is ENODEV', async () => {
  const source = iovSource()
  const other = iovSource(64, 'plain', 2)
  const socket = new DevmemSocket({ bindingId: 2 })
  socket.queue(other.skb([iovPiece(0, 10)]))
  socket.queue(source.skb([iovPiece(0, 20)]))
  assert.equal(recv(socket, 100).bytes, 10)
  assertCode('NETMEM_NO_DEVICE', () => recv(socket, 100))
  assert.equal(
    errnoOf(() => recv(socket, 100)),
    'ENODEV',
  )
  socket.close()
  const told = new DevmemSocket({ bindingId: 1 })
  told.queue(source.skb([iovPiece(2, 20)]))
  assert.equal(recv(told, 100).bytes, 20)
  told.close()
  await endAll(source, other)
})

test('at the token limit it is ENOMEM, until tokens come back', async () => {
  const source = iovSource()
  const socket = new DevmemSocket({ tokenLimit: 2 })
  socket.queue(source.skb([iovPiece(0, 10), iovPiece(1, 10), iovPiece(2, 10)]))
  assert.equal(recv(socket, 100).bytes, 20)
  assertCode('NETMEM_NO_TOKEN', () => recv(socket, 100))
  assert.equal(
    errnoOf(() => recv(socket, 100)),
    'ENOMEM',
  )
  assert.equal(socket.dontneed([{ start: 1, count: 1 }]), 1)
  const [message] = recv(socket, 100).messages
  assert.equal(message?.kind === 'dmabuf' && message.fragToken, 1)
  socket.close()
  await endAll(source)
})

test('dontneed: its ranges, its limits and what it returns', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  const mint = (count: number): void => {
    for (let at = 0; at < count; at += 10) {
      const pieces = Array.from({ length: Math.min(10, count - at) }, (_, n) => iovPiece(n, 1, n))
      socket.queue(source.skb(pieces))
    }
    for (let left = count; left > 0; ) left -= recv(socket, 1e6, 1000).bytes
    source.forget()
  }
  const ranges = (count: number) => Array.from({ length: count }, () => ({ start: 0, count: 1 }))
  assert.equal(socket.dontneed(ranges(128)), 0)
  for (const wrong of [ranges(0), ranges(129)]) {
    assertCode('NETMEM_TOKEN_RANGE', () => socket.dontneed(wrong))
    assert.equal(
      errnoOf(() => socket.dontneed(wrong)),
      'EINVAL',
    )
  }
  mint(5)
  assertCode('NETMEM_OUT_OF_RANGE', () =>
    socket.dontneed([
      { start: 1, count: 5 },
      { start: -1, count: 1 },
    ]),
  )
  assert.equal(socket.stats().tokens, 5)
  // Twice in one call, overlapping, unknown, empty.
  assert.equal(
    socket.dontneed([
      { start: 2, count: 2 },
      { start: 3, count: 2 },
      { start: 0xffff_ffff, count: 2 },
      { start: 1, count: 0 },
    ]),
    3,
  )
  assert.equal(socket.dontneed([{ start: 0, count: 0xffff_ffff }]), 2)
  mint(1030)
  // Unknown ones count: 1020 of nothing, and four of the rest.
  assert.equal(
    socket.dontneed([
      { start: 5000, count: 1020 },
      { start: 1, count: 100 },
    ]),
    4,
  )
  assert.equal(socket.dontneed([{ start: 1, count: 2000 }]), 1020)
  assert.equal(socket.stats().tokens, 6)
  assert.equal(socket.dontneed([{ start: 1025, count: 6 }]), 6)
  assert.equal(source.pool.out, 0)
  socket.close()
  await endAll(source)
})

test('an end and an error come after the data; after them nothing is taken', async () => {
  const source = pageSource()
  for (const error of [undefined, new ConnectionError('NETMEM_CONNECTION_RESET', 'Reset.')]) {
    const socket = new DevmemSocket()
    socket.queue(source.of(pattern(5)))
    if (error === undefined) socket.fin()
    else socket.reset(error)
    assert.equal(socket.queue(source.of(pattern(5))), false)
    socket.reset(new Error('too late'))
    assert.equal(recv(socket, 100).bytes, 5)
    for (let times = 0; times < 2; times++) {
      if (error === undefined) assert.equal(recv(socket, 100).bytes, 0)
      else assert.throws(() => recv(socket, 100), error)
    }
    assert.equal(socket.stats().dropped, 1)
    socket.close()
  }
  await endAll(source)
})

test('its receive buffer is bounded', async () => {
  const source = pageSource()
  const socket = new DevmemSocket({ receiveBufferBytes: 10 })
  assert.equal(socket.queue(source.of(pattern(6))), true)
  assert.equal(socket.queue(source.of(pattern(5))), false)
  assert.equal(socket.queue(source.of(pattern(4))), true)
  assert.equal(socket.queue(source.of(pattern(0))), true)
  assert.equal(recv(socket, 3, 0).bytes, 3)
  assert.equal(socket.queue(source.of(pattern(3))), true)
  assert.equal(socket.stats().queuedBytes, 10)
  socket.close()
  assert.equal(socket.stats().queuedBytes, 0)
  await endAll(source)
})

test('whoever waits is told of data, of the end and of close', async () => {
  const source = pageSource()
  for (const make of [
    (socket: DevmemSocket) => void socket.queue(source.of(pattern(1))),
    (socket: DevmemSocket) => socket.fin(),
    (socket: DevmemSocket) => socket.reset(new Error('reset')),
    (socket: DevmemSocket) => socket.close(),
  ]) {
    const socket = new DevmemSocket()
    let told = 0
    socket.notify(() => {
      told++
    })
    const waiting = socket.whenReadable()
    socket.queue(source.of(pattern(0)))
    assert.equal(told, 0)
    assert.ok(!socket.readable)
    make(socket)
    assert.equal(told, 1)
    assert.ok(socket.readable)
    await waiting
    await socket.whenReadable()
    socket.close()
    assert.equal(told, 1)
  }
  await endAll(source)
})

test('close gives everything back, once; nothing works after it', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const socket = new DevmemSocket()
  socket.queue(iovs.skb([iovPiece(0, 100), iovPiece(1, 10)], pattern(10)))
  recv(socket, 50)
  socket.queue(pages.of(pattern(10_000)))
  socket.close()
  assert.equal(iovs.pool.out + pages.pool.out, 0)
  socket.close()
  await socket.closed
  for (const use of [
    () => recv(socket, 1),
    () => recv(socket, 0),
    () => socket.dontneed([{ start: 1, count: 1 }]),
  ]) {
    assertCode('NETMEM_SOCKET_CLOSED', use)
    assert.equal(errnoOf(use), 'EBADF')
  }
  pages.forget()
  assert.equal(socket.queue(pages.of(pattern(1))), false)
  await endAll(pages, iovs)
})

test('wrong arguments have their codes, and change nothing', async () => {
  const source = pageSource()
  assertCode('NETMEM_OUT_OF_RANGE', () => new DevmemSocket({ bindingId: 0 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => new DevmemSocket({ tokenLimit: 2 ** 31 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => new DevmemSocket({ receiveBufferBytes: 0 }))
  const socket = new DevmemSocket()
  socket.queue(source.of(pattern(5)))
  const iov = [new Uint8Array(9)]
  assertCode('NETMEM_INVALID_ARGUMENT', () => socket.recvmsg({ iov: [[] as never] }))
  assertCode('NETMEM_INVALID_ARGUMENT', () => socket.recvmsg({ iov, control: [] as never }))
  assertCode('NETMEM_OUT_OF_RANGE', () => socket.recvmsg({ iov, flags: -1 }))
  assert.equal(socket.recvmsg({ iov: [] }).bytes, 0)
  assert.equal(socket.recvmsg({ iov }).bytes, 5)
  socket.close()
  await endAll(source)
})

/** One queued byte: `host` or `linear` with its value, or its offset in device memory with 0. */
type Place = readonly [kind: 'host' | 'linear' | number, at: number]

test('any skbs read in any parts: every byte once, in order, where it is', async () => {
  const pages = pageSource(256)
  const iovs = iovSource(256)
  const frag = fc.tuple(fc.nat({ max: 300 }), fc.integer({ min: 1, max: 90 }))
  const packet = fc.record({
    device: fc.boolean(),
    linear: fc.nat({ max: 30 }),
    frags: fc.array(frag, { maxLength: 5 }),
  })
  const call = fc.record({
    length: fc.nat({ max: 150 }),
    messages: fc.nat({ max: 4 }),
    frees: fc.nat({ max: 8 }),
  })
  fc.assert(
    fc.property(
      fc.array(packet, { maxLength: 8 }),
      fc.array(call, { maxLength: 40 }),
      (packets, calls) => {
        const socket = new DevmemSocket({ tokenLimit: 30 })
        const expected: Place[] = []
        for (const [index, { device, linear, frags }] of packets.entries()) {
          const bytes = pattern(linear, index)
          const named = device && frags.length > 0
          expected.push(...Array.from(bytes, (byte): Place => [named ? 'linear' : 'host', byte]))
          let skb: AnySkb
          iovs.forget()
          if (device) {
            skb = iovs.skb(
              frags.map(([offset, length]) => iovPiece(0, length, offset)),
              bytes,
            )
            for (let at = 0; at < skb.fragCount; at++) {
              const place = iovs.provider.offset(some(skb.frags[at])) + (skb.offsets[at] ?? 0)
              for (let byte = 0; byte < (skb.lengths[at] ?? 0); byte++) {
                expected.push([place + byte, 0])
              }
            }
          } else {
            const total = frags.reduce((sum, [, length]) => sum + length, 0)
            const rest = pattern(total, index + 100)
            skb = pages.of(Uint8Array.of(...bytes, ...rest), linear)
            expected.push(...Array.from(rest, (byte): Place => ['host', byte]))
          }
          assert.ok(socket.queue(skb))
        }
        const seen: Place[] = []
        const tokens: number[] = []
        for (const { length, messages, frees } of [...calls, ...drain]) {
          tokens.splice(0, frees).forEach((start) => {
            assert.equal(socket.dontneed([{ start, count: 1 }]), 1)
          })
          try {
            const received = recv(socket, length, messages)
            let at = 0
            let sum = 0
            for (const message of received.messages) {
              if (message.kind === 'linear') {
                for (const byte of received.data.subarray(at, at + message.fragSize)) {
                  seen.push(['linear', byte])
                }
                at += message.fragSize
                sum += message.fragSize
              } else if (message.kind === 'dmabuf') {
                for (let byte = 0; byte < message.fragSize; byte++) {
                  seen.push([message.fragOffset + byte, 0])
                }
                // The lowest that is free.
                const free = Array.from({ length: 31 }, (_, n) => n + 1).find(
                  (token) => !tokens.includes(token),
                )
                assert.equal(message.fragToken, free)
                tokens.push(message.fragToken)
                sum += message.fragSize
              }
            }
            if (received.messages.length > 0) assert.equal(sum, received.bytes)
            else for (const b of received.data.subarray(0, received.bytes)) seen.push(['host', b])
            assert.ok(received.bytes <= length && received.messages.length <= messages)
          } catch (error) {
            if (!(error instanceof DeviceError)) throw error
            assert.ok(
              ['NETMEM_WOULD_BLOCK', 'NETMEM_CONTROL_SPACE', 'NETMEM_NO_TOKEN'].includes(
                error.code,
              ),
            )
          }
          assert.equal(socket.stats().tokens, tokens.length)
        }
        assert.deepEqual(seen, expected)
        socket.close()
        assert.equal(iovs.pool.out + pages.pool.out, 0)
      },
    ),
    { numRuns: 100 },
  )
  await endAll(pages, iovs)
})

/** Calls that read all that is left. */
const drain = Array.from({ length: 60 }, () => ({ length: 5000, messages: 20, frees: 30 }))
