// Flows that change queues, and with it the memory that they land in.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEVMEM_CMSG_SPACE, parseControl } from '../../wire/control-messages.ts'
import { SYN } from '../../wire/tcp.ts'
import { MSG_SOCK_DEVMEM, type ReceivedMessage } from '../host/socket/messages.ts'
import type { SteeringRule } from '../rings/nic-types.ts'
import { Path, type PathOptions, pattern, tcp } from './path.test.helper.ts'

const RULE: SteeringRule = {
  protocol: 'tcp',
  destinationAddress: Uint8Array.of(10, 0, 0, 2),
  destinationPort: 5001,
  queue: 1,
}

const PART = 1000
const STREAM = pattern(9 * PART, 5)

/** The `count` segments from number `from` on. */
function segments(from: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, at) => {
    const begin = (from + at) * PART
    return tcp(1 + begin, STREAM.subarray(begin, begin + PART))
  })
}

function openSteered(options: Partial<PathOptions> = {}): Promise<Path> {
  return Path.open({ ...options, nic: { link: { kind: 'injected' }, queues: 2 }, bound: [1] })
}

test('a rule added in mid-flow: pages, then net_iovs, then pages; never both in one call or skb', async () => {
  const seen: string[] = []
  const path = await openSteered({ seen: (skb) => void seen.push(skb.kind) })
  await path.through(...segments(0, 3))
  const rule = await path.nic.addRule(RULE)
  await path.through(...segments(3, 3))
  await path.nic.removeRule(rule)
  await path.through(...segments(6, 3))
  assert.deepEqual(seen, [
    ...Array(3).fill('page'),
    ...Array(3).fill('net_iov'),
    ...Array(3).fill('page'),
  ])
  const iov = [new Uint8Array(STREAM.length)]
  const control = new Uint8Array(20 * DEVMEM_CMSG_SPACE)
  const { socket } = path.flow
  const flags = MSG_SOCK_DEVMEM
  const calls: ReceivedMessage[] = []
  const got: Uint8Array[] = []
  while (socket.stats().queued_bytes > 0) {
    const call = socket.recvmsg({ iov, control, flags })
    calls.push(call)
    if (call.controlBytes === 0) got.push(...iov.map((part) => part.slice(0, call.bytes)))
    for (const message of parseControl(control, call.controlBytes)) {
      assert.ok(message.kind === 'dmabuf')
      got.push(await path.device.read(path.dmabuf, message.fragOffset, message.fragSize))
      assert.equal(socket.dontneed([{ start: message.fragToken, count: 1 }]), 1)
    }
  }
  assert.deepEqual(
    calls.map(({ bytes, controlBytes }) => [bytes, controlBytes > 0]),
    [
      [3 * PART, false],
      [3 * PART, true],
      [3 * PART, false],
    ],
  )
  assert.equal(Buffer.compare(Buffer.concat(got), STREAM), 0)
  await path.close()
})

test('segments that overlap where the memory changes come out once, each in its own', async () => {
  const path = await openSteered()
  const held = segments(0, 4)
  // 1 and 3 wait for 0 in pages, 2 in device memory.
  await path.through(
    tcp(0, new Uint8Array(0), { flags: SYN }),
    ...held.slice(1, 2),
    ...held.slice(3, 4),
  )
  await path.nic.addRule(RULE)
  await path.through(tcp(1 + PART, STREAM.subarray(PART, 3 * PART + 10)), ...held.slice(0, 1))
  const { receiver } = path.flow
  const kinds: [string, number][] = []
  const got: Uint8Array[] = []
  for (let frag = receiver.take(); frag !== undefined; frag = receiver.take()) {
    kinds.push([frag.kind, frag.length])
    if (frag.kind === 'page') got.push(frag.bytes.slice())
    else got.push(await path.device.read(path.dmabuf, frag.offset, frag.length))
    frag.release()
  }
  assert.equal(Buffer.compare(Buffer.concat(got), STREAM.subarray(0, 4 * PART)), 0)
  assert.deepEqual(kinds, [
    ['net_iov', PART],
    ['page', PART],
    ['net_iov', PART],
    ['page', PART],
  ])
  await path.close()
})

test('strict: payload that was misrouted to pages is an error, and nothing is lost', async () => {
  const path = await openSteered({ socket: { strict: true } })
  await path.through(...segments(0, 1))
  await path.nic.addRule(RULE)
  await path.through(...segments(1, 2))
  const { socket, receiver } = path.flow
  const message = {
    iov: [new Uint8Array(STREAM.length)],
    control: new Uint8Array(20 * DEVMEM_CMSG_SPACE),
    flags: MSG_SOCK_DEVMEM,
  }
  const error = { code: 'NETMEM_READABLE', errno: 'EFAULT' }
  assert.throws(() => socket.recvmsg(message), error)
  assert.throws(() => receiver.take(), error)
  await assert.rejects(receiver[Symbol.asyncIterator]().next(), error)
  assert.equal(socket.stats().queued_bytes, 3 * PART)
  assert.equal(socket.recvmsg({ ...message, flags: 0 }).bytes, PART)
  assert.deepEqual(message.iov[0]?.subarray(0, PART), STREAM.subarray(0, PART))
  assert.equal(socket.recvmsg(message).bytes, 2 * PART)
  await path.close()
})

test('strict is off by default: what was misrouted is read as it came', async () => {
  const path = await openSteered()
  await path.through(...segments(0, 1))
  await path.nic.addRule(RULE)
  await path.through(...segments(1, 2))
  const kinds: string[] = []
  const { receiver } = path.flow
  for (let frag = receiver.take(); frag !== undefined; frag = receiver.take()) {
    kinds.push(frag.kind)
    frag.release()
  }
  assert.deepEqual(kinds, ['page', 'net_iov', 'net_iov'])
  await path.close()
})
