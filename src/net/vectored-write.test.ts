import assert from 'node:assert/strict'
import net from 'node:net'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { rejection, ways, withEnds } from './harness.test.helper.ts'
import { byteLengthOf, isSendable, writeTo } from './vectored-write.ts'

for (const way of ways()) {
  test(`pieces arrive in their order, and are counted (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const received = buffer(peer)
      await connection.write([Uint8Array.of(1, 2), 'ä', new Uint8Array(0), Uint8Array.of(3)])
      await connection.write([])
      await connection.write([Uint8Array.of(4)])
      assert.equal(connection.bytesWritten, 6)
      await connection.end()
      assert.deepEqual([...(await received)], [1, 2, 0xc3, 0xa4, 3, 4])
      peer.end()
    }),
  )
}

for (const way of ways(['tcp4', 'tls'])) {
  test(`received bytes are counted when they arrive (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      assert.equal(connection.bytesRead, 0)
      peer.end(new Uint8Array(100_000))
      let bytes = 0
      for await (const frag of connection) {
        bytes += frag.length
        frag.release()
        assert.ok(connection.bytesRead >= bytes)
      }
      assert.deepEqual([bytes, connection.bytesRead], [100_000, 100_000])
    }),
  )
}

for (const way of ways(['tcp4'])) {
  test(`what cannot be written is refused before anything is sent (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      const received = buffer(peer)
      for (const data of [1, null, [Uint8Array.of(1), 2], [['nested']], new ArrayBuffer(1)]) {
        const written: unknown = Reflect.apply(connection.write, connection, [data])
        assert.ok(written instanceof Promise)
        assert.equal(await rejection(written), 'NETMEM_INVALID_ARGUMENT')
      }
      assert.equal(connection.bytesWritten, 0)
      await connection.end()
      assert.equal((await received).byteLength, 0)
      peer.end()
    }))

  test(`pieces for a connection that is closed are refused (${way.name})`, () =>
    withEnds(way, async ({ connection }) => {
      connection.destroy()
      assert.equal(await rejection(connection.write(['a', 'b'])), 'NETMEM_CONNECTION_CLOSED')
    }))
}

test('several pieces go out in one system call', async () => {
  const calls: number[] = []
  class Counted extends net.Socket {
    override _writev(chunks: { chunk: unknown }[], done: (error?: Error) => void): void {
      calls.push(chunks.length)
      done()
    }
  }
  const socket = new Counted()
  await new Promise<void>((resolve) => writeTo(socket, ['a', 'b', 'c'], () => resolve()))
  assert.deepEqual(calls, [3])
  socket.destroy()
})

test('pieces have the length that they have on the wire', () => {
  assert.equal(byteLengthOf(['ä', Uint8Array.of(1)]), 3)
  assert.equal(isSendable([]), true)
  assert.equal(isSendable([undefined]), false)
})
