/** Tests of the receivers of a connection: one at a time, and each leaves what it does not take. */

import assert from 'node:assert/strict'
import type { HostFrag } from '../pool/frag.ts'
import {
  type ConnectionEnds,
  outcome,
  pattern,
  receivePattern,
  same,
  sendPattern,
} from './connection-ends.ts'

export async function testOneReceiver({ connection, peer }: ConnectionEnds): Promise<void> {
  const first = connection.receive()
  assert.equal(await outcome(connection.receive()), 'NETMEM_BUSY')
  assert.equal(await outcome(connection[Symbol.asyncIterator]().next()), 'NETMEM_BUSY')
  await peer.write(pattern(0, 10))
  const frag = await first
  assert.ok(frag !== undefined)
  same(frag.bytes, 0)
  frag.release()
}

export async function testFill({ connection, peer }: ConnectionEnds): Promise<void> {
  const bytes = 300_000
  const sending = sendPattern(peer, 0, bytes + 10).then(() => peer.end())
  const view = new Uint8Array(bytes)
  const seen: number[] = []
  const filling = connection.receivers.fill(view, { onProgress: (filled) => seen.push(filled) })
  assert.equal(await outcome(connection.receive()), 'NETMEM_BUSY')
  assert.equal(await filling, bytes)
  same(view, 0)
  assert.equal(seen.at(-1), bytes)
  assert.ok(seen.every((filled, at) => filled > (seen[at - 1] ?? 0)))
  assert.equal(await receivePattern(connection, bytes, 10), 10)
  await sending
  assert.equal(await connection.receivers.fill(view, { mayEnd: true }), 0)
  assert.equal(await outcome(connection.receivers.fill(view)), 'NETMEM_ENDED_EARLY')
  assert.equal(await connection.receivers.fill(new Uint8Array(0)), 0)
  const wrong: unknown = Reflect.apply(connection.receivers.fill, connection.receivers, [5])
  assert.equal(await outcome(Promise.resolve(wrong)), 'NETMEM_INVALID_ARGUMENT')
}

export async function testShow({ connection, peer }: ConnectionEnds): Promise<void> {
  const { receivers } = connection
  assert.throws(() => Reflect.apply(receivers.show, receivers, [{}]), {
    code: 'NETMEM_INVALID_ARGUMENT',
  })
  let at = 0
  const ended = new Promise<Error | undefined>((resolve) => {
    receivers.show({
      view: (bytes) => {
        same(bytes, at)
        const taken = Math.min(bytes.byteLength, 1000 - at)
        at += taken
        if (at === 1000) resolve(undefined)
        return taken
      },
      viewEnded: resolve,
    })
  })
  await sendPattern(peer, 0, 1500)
  await ended
  assert.equal(at, 1000)
  receivers.hide()
  assert.equal(await receivePattern(connection, 1000, 500), 500)

  let end: (error: Error | undefined) => void = () => {}
  const told = new Promise<Error | undefined>((resolve) => {
    end = resolve
  })
  receivers.show({ view: (bytes) => bytes.byteLength, viewEnded: end })
  await peer.end()
  assert.equal(await told, undefined)
}

export async function testFragOf({ connection, peer }: ConnectionEnds): Promise<void> {
  const { receivers } = connection
  assert.equal(receivers.takeArrived(), undefined)
  const copy = receivers.fragOf(pattern(7, 100))
  same(copy.bytes, 7)
  copy.release()
  for (const bytes of [0, connection.pool.pageSize + 1]) {
    assert.throws(() => receivers.fragOf(new Uint8Array(bytes)), { code: 'NETMEM_OUT_OF_RANGE' })
  }
  const bytes = 200_000
  const sending = sendPattern(peer, 0, bytes)
  const first = await connection.receive()
  assert.ok(first !== undefined)
  let at = 0
  for (let frag: HostFrag | undefined = first; frag !== undefined; ) {
    same(frag.bytes, at)
    at += frag.length
    frag.release()
    frag = receivers.takeArrived()
  }
  assert.equal(at + (await receivePattern(connection, at, bytes - at)), bytes)
  await sending
}

export async function testLeftLoop({ connection, peer }: ConnectionEnds): Promise<void> {
  const sending = sendPattern(peer, 0, 100_000).then(() => peer.end())
  let at = 0
  for await (const frag of connection) {
    same(frag.bytes, at)
    at += frag.length
    frag.release()
    break
  }
  assert.ok(at > 0 && connection.state.kind !== 'closed')
  assert.equal(at + (await receivePattern(connection, at)), 100_000)
  await sending
}
