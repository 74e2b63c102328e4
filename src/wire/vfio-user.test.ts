// Messages cut out of streams that arrive in any pieces, and streams that are none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'
import {
  MAX_MESSAGE_BYTES,
  readUint64,
  VFIO_USER_HEADER,
  VfioUserFramer,
  writeUint64,
} from './vfio-user.ts'

interface Sent {
  readonly id: number
  readonly command: number
  readonly flags: number
  readonly body: Uint8Array
}

const message = fc.record(
  {
    id: fc.nat(0xffff),
    command: fc.nat(0xffff),
    flags: fc.nat(0xffff),
    body: fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 3000 })),
  },
  { noNullPrototype: true },
)

function streamOf(messages: readonly Sent[]): Uint8Array {
  const parts = messages.map(({ id, command, flags, body }) => {
    const bytes = new Uint8Array(VFIO_USER_HEADER.BYTES + body.length)
    const view = new DataView(bytes.buffer)
    view.setUint16(VFIO_USER_HEADER.ID, id, true)
    view.setUint16(VFIO_USER_HEADER.COMMAND, command, true)
    view.setUint32(VFIO_USER_HEADER.SIZE, bytes.length, true)
    view.setUint32(VFIO_USER_HEADER.FLAGS, flags, true)
    bytes.set(body, VFIO_USER_HEADER.BYTES)
    return bytes
  })
  return new Uint8Array(Buffer.concat(parts))
}

/** Feeds a stream in pieces, and calls `onMessage` for each message. Returns what ended it. */
function feed(
  framer: VfioUserFramer,
  stream: Uint8Array,
  pieces: readonly number[],
  onMessage: () => void,
): 'incomplete' | 'malformed' {
  let at = 0
  for (let turn = 0; at < stream.length; turn++) {
    const piece = Math.min(pieces[turn % pieces.length] ?? 1, framer.room, stream.length - at)
    assert.ok(piece > 0)
    framer.bytes.set(stream.subarray(at, at + piece), framer.end)
    framer.received(piece)
    at += piece
    for (;;) {
      const framed = framer.next()
      if (framed === 'malformed') return framed
      if (framed === 'incomplete') break
      onMessage()
    }
    assert.equal(framer.streamBytes, at)
  }
  return 'incomplete'
}

const pieces = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 8 })

test('messages come out as they went in, cut into any pieces', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 40 }), pieces, (messages, sizes) => {
      const framer = new VfioUserFramer()
      const seen: Sent[] = []
      let ends = 0
      const ended = feed(framer, streamOf(messages), sizes, () => {
        const { id, command, flags, bodyAt, bodyBytes } = framer
        seen.push({ id, command, flags, body: framer.bytes.slice(bodyAt, bodyAt + bodyBytes) })
        ends += VFIO_USER_HEADER.BYTES + bodyBytes
        assert.equal(framer.messageEnd, ends)
      })
      assert.equal(ended, 'incomplete')
      assert.deepEqual(seen, messages)
    }),
  )
})

test('no stream makes it read outside its bytes, and a malformed one ends it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), pieces, (stream, sizes) => {
      const framer = new VfioUserFramer()
      feed(framer, stream, sizes, () => {
        assert.ok(framer.bodyAt >= VFIO_USER_HEADER.BYTES)
        assert.ok(framer.bodyAt + framer.bodyBytes <= framer.end)
        assert.ok(framer.bodyBytes <= MAX_MESSAGE_BYTES)
      })
    }),
  )
})

test('lengths below the header and above the limit are malformed', () => {
  for (const [size, expected] of [
    [0, 'malformed'],
    [15, 'malformed'],
    [16, 'message'],
    [MAX_MESSAGE_BYTES, 'incomplete'],
    [MAX_MESSAGE_BYTES + 1, 'malformed'],
    [0xffffffff, 'malformed'],
  ] as const) {
    const framer = new VfioUserFramer()
    framer.view.setUint32(VFIO_USER_HEADER.SIZE, size, true)
    framer.received(VFIO_USER_HEADER.BYTES)
    assert.equal(framer.next(), expected, String(size))
  }
})

test('numbers of 64 bits', () => {
  const view = new DataView(new ArrayBuffer(16))
  for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER]) {
    writeUint64(view, 3, value)
    assert.equal(view.getBigUint64(3, true), BigInt(value))
    assert.equal(readUint64(view, 3), value)
  }
  view.setBigUint64(0, 2n ** 64n - 1n, true)
  assert.ok(readUint64(view, 0) > Number.MAX_SAFE_INTEGER)
})
