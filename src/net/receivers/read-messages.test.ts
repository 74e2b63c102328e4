import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostFrag } from '../../pool/frag.ts'
import { pattern, rejection, same, until, ways, withEnds } from '../harness.test.helper.ts'
import { type MessageFraming, readMessages } from './read-messages.ts'

/** A message: four bytes of length, two of its number, the payload. */
function message(number: number, length: number): Buffer {
  const header = Buffer.alloc(6)
  header.writeUInt32BE(length)
  header.writeUInt16BE(number, 4)
  return Buffer.concat([header, pattern(number, length)])
}

const lengthOf = (header: Uint8Array): number =>
  new DataView(header.buffer, header.byteOffset).getUint32(0)
const framing: MessageFraming = { headerBytes: 6, payloadBytes: lengthOf }
const lengths = [0, 1, 5, 16_384, 16_378, 300_000, 0, 0, 65_536, 7]

for (const way of ways()) {
  test(`messages of any length arrive whole (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      const messages = lengths.map((length, number) => message(number, length))
      peer.end(Buffer.concat(messages))
      const headers: HostFrag[] = []
      for await (const { header, payload } of readMessages(connection, framing)) {
        assert.equal(payload.byteLength, lengths[headers.length])
        same(payload, headers.length)
        headers.push(header)
      }
      assert.equal(headers.length, lengths.length)
      for (const [number, header] of headers.entries()) {
        assert.deepEqual(Buffer.from(header.bytes), messages[number]?.subarray(0, 6))
      }
      // Many headers share a page, with what the connection had to read ahead for one.
      assert.ok(pool.out <= 2, `${pool.out} pages are out`)
      for (const header of headers) header.release()
    }),
  )

  test(`an end within a message differs from one between two (${way.name})`, {
    skip: way.skip,
  }, async () => {
    const whole = message(0, 1000)
    for (const bytes of [1, 5, 6, 7, 1005]) {
      await withEnds(way, async ({ connection, peer }) => {
        peer.end(Buffer.concat([whole, whole.subarray(0, bytes)]))
        const messages = readMessages(connection, framing)
        const { value } = await messages.next()
        assert.ok(value)
        value.header.release()
        assert.equal(await rejection(messages.next()), 'NETMEM_ENDED_EARLY')
      })
    }
  })
}

for (const way of ways(['tcp4'])) {
  test(`a message without payload needs no message after it (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      const messages = readMessages(connection, framing)
      for (let number = 0; number < 5; number++) {
        peer.write(message(number, 0))
        const { value } = await messages.next()
        assert.ok(value)
        assert.equal(value.payload.byteLength, 0)
        value.header.release()
      }
      await messages.return()
    }))

  test(`the payload goes where the caller says for that header (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      peer.end(Buffer.concat([message(0, 100_000), message(1, 50_000)]))
      const memory = new SharedArrayBuffer(150_010)
      let at = 0
      const destination = (header: Uint8Array, length: number): Uint8Array => {
        assert.equal(lengthOf(header), length)
        // More than needed is fine.
        const view = new Uint8Array(memory, at, length + 5)
        at += length
        return view
      }
      let number = 0
      for await (const { header, payload } of readMessages(connection, {
        ...framing,
        destination,
      })) {
        assert.equal(payload.buffer, memory)
        assert.equal(payload.byteLength, lengthOf(header.bytes))
        same(payload, number++)
        header.release()
      }
      same(new Uint8Array(memory, 0, 100_000), 0)
      assert.equal(number, 2)
    }))

  test(`a payload too large is refused before memory is asked for (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      peer.write(message(0, 1001))
      let asked = 0
      const destination = (): Uint8Array => {
        asked++
        return new Uint8Array(1001)
      }
      const bounded = { ...framing, destination, maxPayloadBytes: 1000 }
      assert.equal(await rejection(readMessages(connection, bounded).next()), 'NETMEM_OUT_OF_RANGE')
      assert.equal(asked, 0)
    }))

  test(`what a framing may get wrong (${way.name})`, async () => {
    const wrong: readonly [Partial<Record<keyof MessageFraming, unknown>>, string][] = [
      [{ headerBytes: 0 }, 'NETMEM_OUT_OF_RANGE'],
      [{ headerBytes: 4097 }, 'NETMEM_OUT_OF_RANGE'],
      [{ headerBytes: '6' }, 'NETMEM_INVALID_ARGUMENT'],
      [{ maxPayloadBytes: -1 }, 'NETMEM_OUT_OF_RANGE'],
      [{ payloadBytes: () => -1 }, 'NETMEM_OUT_OF_RANGE'],
      [{ payloadBytes: () => 0.5 }, 'NETMEM_OUT_OF_RANGE'],
      [{ payloadBytes: () => undefined }, 'NETMEM_INVALID_ARGUMENT'],
      [{ payloadBytes: 10 }, 'NETMEM_INVALID_ARGUMENT'],
      [{ destination: new Uint8Array(10) }, 'NETMEM_INVALID_ARGUMENT'],
      [{ signal: {} }, 'NETMEM_INVALID_ARGUMENT'],
      [{ payloadBytes: () => 2 ** 53 - 1 }, 'NETMEM_OUT_OF_RANGE'],
      [{ destination: () => new Uint8Array(9) }, 'NETMEM_DESTINATION_TOO_SMALL'],
      [{ destination: () => 'memory' }, 'NETMEM_INVALID_ARGUMENT'],
      [{ signal: AbortSignal.abort() }, 'NETMEM_ABORTED'],
    ]
    for (const [what, code] of wrong) {
      await withEnds(way, async ({ connection, peer }) => {
        peer.write(message(0, 10))
        const messages = readMessages(connection, { ...framing, ...what } as MessageFraming)
        assert.equal(await rejection(messages.next()), code)
      })
    }
  })

  test(`a signal ends it in the middle of a payload (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      const controller = new AbortController()
      const { signal } = controller
      const waiting = rejection(readMessages(connection, { ...framing, signal }).next())
      peer.write(message(0, 1000).subarray(0, 100))
      await until(() => connection.pool.out === 1, 'the header is in a page')
      controller.abort()
      assert.equal(await waiting, 'NETMEM_ABORTED')
    }))

  test(`many small messages in few reads are not copied over and over (${way.name})`, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      const count = 20_000
      const all = Buffer.concat(
        Array.from({ length: count }, (_, number) => message(number % 9, 9)),
      )
      peer.end(all)
      let number = 0
      for await (const { header, payload } of readMessages(connection, framing)) {
        same(payload, number++ % 9)
        header.release()
      }
      assert.equal(number, count)
      assert.ok(pool.stats().copied.bytes <= all.byteLength, `${pool.stats().copied.bytes} copied`)
    }))
}
