// Connections over TCP, Unix sockets and TLS, made by either side, against sockets of Node.js.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { createPool, hostProvider } from 'netmem'
import { receiveInto } from 'netmem/net'
import { pattern, receiveAll, rejected, same, turns, until, ways, withEnds } from './harness.mjs'
import { framing, readMessages } from './names.mjs'

const BYTES = 1_000_000
const payload = pattern(BYTES)

/** Returns all that a socket receives until its peer ends. */
async function collected(socket) {
  const parts = []
  socket.on('data', (chunk) => parts.push(chunk))
  await once(socket, 'end')
  return Buffer.concat(parts)
}

/** Registers a test for each way to have a connection. */
function each(name, body, options) {
  for (const way of ways) {
    test(`${way.kind}, ${way.side}: ${name}`, { skip: way.skip }, () =>
      withEnds(way, (ends) => body({ ...ends, way }), options),
    )
  }
}

each('iterates to the end, and counts', async ({ connection, peer, pool, way }) => {
  peer.end(payload)
  same(await receiveAll(connection), payload)
  assert.equal(connection.bytesRead, BYTES)
  assert.equal(connection.state.kind, 'ended')
  assert.equal(connection.pool, pool)
  assert.equal(connection.tls !== undefined, way.kind === 'tls')
  assert.equal(await connection.receive(), undefined)
})

each('receive: one frag at a time, then the end', async ({ connection, peer }) => {
  assert.equal(connection.state.kind, 'open')
  peer.write('one')
  const frag = await connection.receive()
  assert.equal(Buffer.from(frag.bytes).toString(), 'one')
  frag.release()
  peer.end()
  assert.equal(await connection.receive(), undefined)
})

each('receive: a second receiver is refused, and a signal gives up the wait', async (ends) => {
  const { connection, peer } = ends
  const controller = new AbortController()
  const waiting = connection.receive({ signal: controller.signal })
  assert.equal(await rejected(connection.receive()), 'NETMEM_BUSY')
  controller.abort()
  assert.equal(await rejected(waiting), 'NETMEM_ABORTED')
  peer.write('later')
  const frag = await connection.receive()
  assert.equal(frag.length, 5)
  frag.release()
  assert.equal(await rejected(connection.receive({ signal: 1 })), 'NETMEM_INVALID_ARGUMENT')
  assert.equal(await rejected(connection.receive({ timeout: 1 })), 'NETMEM_INVALID_ARGUMENT')
})

each(
  'a dry pool stops the peer, and a release lets it go on',
  async ({ connection, peer, pool }) => {
    const total = 8 * BYTES
    let sent = false
    peer.end(pattern(total, 3), () => {
      sent = true
    })
    const held = []
    let next = connection.receive()
    // Takes frags until none comes for a while with nothing released.
    for (let quiet = false; !quiet; ) {
      const frag = await Promise.race([next, turns(200).then(() => 'none')])
      quiet = frag === 'none' && held.length > 0
      if (frag !== 'none') {
        held.push(frag)
        next = connection.receive()
      }
    }
    assert.equal(sent, false)
    const bytes = held.reduce((sum, { length }) => sum + length, 0)
    assert.ok(bytes > 0 && bytes <= 2 * 4 * 65_536 + 2 * 65_536, `${bytes} bytes are held`)
    assert.ok(pool.stats().out <= 4)
    const parts = held.map((frag) => frag.copy())
    for (const frag of held) frag.release()
    for (let frag = await next; frag !== undefined; frag = await connection.receive()) {
      parts.push(frag.copy())
      frag.release()
    }
    same(Buffer.concat(parts), pattern(total, 3))
  },
  { pages: 4 },
)

each('receiveInto: exact lengths into any memory', async ({ connection, peer }) => {
  peer.write(payload)
  const destinations = [
    new Uint8Array(5),
    new ArrayBuffer(300_000),
    new SharedArrayBuffer(200_000),
    new Uint8Array(new ArrayBuffer(100_100), 100),
    Buffer.alloc(0),
  ]
  let at = 0
  for (const destination of destinations) {
    const { byteLength } = destination
    assert.equal(await receiveInto(connection, destination), byteLength)
    same(destination, payload.subarray(at, at + byteLength))
    at += byteLength
  }
  const progress = []
  const memory = new Uint8Array(BYTES)
  const onProgress = (bytes) => progress.push(bytes)
  const length = BYTES - at
  assert.equal(await receiveInto(connection, memory, { length, onProgress }), length)
  same(memory.subarray(0, length), payload.subarray(at))
  assert.equal(progress.at(-1), length)
  assert.deepEqual(
    progress,
    [...progress].sort((a, b) => a - b),
  )
})

each('receiveInto: the peer ends early', async ({ connection, peer }) => {
  peer.end('short')
  assert.equal(await rejected(receiveInto(connection, new Uint8Array(6))), 'NETMEM_ENDED_EARLY')
})

each('receiveInto: memory that moves away', async ({ connection, peer }) => {
  const memory = new Uint8Array(BYTES)
  const received = receiveInto(connection, memory)
  peer.write(payload.subarray(0, 100))
  await until(() => connection.bytesRead === 100)
  structuredClone(memory.buffer, { transfer: [memory.buffer] })
  peer.write(payload.subarray(100))
  assert.equal(await rejected(received), 'NETMEM_DESTINATION_DETACHED')
  await connection.closed
})

each('receiveInto: a signal ends the connection', async ({ connection }) => {
  const controller = new AbortController()
  const received = receiveInto(connection, new Uint8Array(1), { signal: controller.signal })
  controller.abort(new Error('enough'))
  assert.equal(await rejected(received), 'NETMEM_ABORTED')
  await connection.closed
})

each('messages of a header and a payload', async ({ connection, peer }) => {
  const lengths = [0, 1, 100, 70_000, 300_000]
  for (const length of lengths) {
    const header = Buffer.alloc(4)
    header.writeUInt32BE(length)
    peer.write(header)
    peer.write(payload.subarray(0, length))
  }
  peer.end()
  const view = ({ buffer, byteOffset }) => new DataView(buffer, byteOffset)
  const payloadBytes = (header) => view(header).getUint32(0)
  const seen = []
  for await (const message of readMessages(connection, framing(4, payloadBytes))) {
    same(message.payload, payload.subarray(0, message.payload.length))
    assert.equal(view(message.header.bytes).getUint32(0), message.payload.length)
    message.header.release()
    seen.push(message.payload.length)
  }
  assert.deepEqual(seen, lengths)
})

each('messages: an end inside one is an error', async ({ connection, peer }) => {
  peer.end(Buffer.from([0, 0, 0, 9, 1]))
  const messages = readMessages(
    connection,
    framing(4, () => 9),
  )
  assert.equal(await rejected(messages.next()), 'NETMEM_ENDED_EARLY')
})

each('write: bytes, text, and several pieces', async ({ connection, peer }) => {
  const pieces = [payload.subarray(0, 300_000), 'text é', new Uint8Array(0), [payload, 'end']]
  const expected = Buffer.concat(pieces.flat().map((piece) => Buffer.from(piece)))
  const received = Buffer.alloc(expected.length)
  let at = 0
  peer.on('data', (chunk) => {
    at += chunk.copy(received, at)
  })
  for (const piece of pieces) await connection.write(piece)
  assert.equal(connection.bytesWritten, expected.length)
  await until(() => at === expected.length)
  same(received, expected)
  for (const wrong of [1, null, [1], {}]) {
    assert.equal(await rejected(connection.write(wrong)), 'NETMEM_INVALID_ARGUMENT')
  }
})

each('half-close: sends after the end of the peer', async ({ connection, peer }) => {
  const received = collected(peer)
  peer.end('question')
  same(await receiveAll(connection), Buffer.from('question'))
  await connection.write(payload)
  await connection.end()
  same(await received, payload)
  assert.equal(await rejected(connection.write('more')), 'NETMEM_CONNECTION_CLOSED')
})

each('half-close: receives after its own end', async ({ connection, peer }) => {
  peer.resume()
  await Promise.all([connection.end(), once(peer, 'end')])
  peer.end('answer')
  same(await receiveAll(connection), Buffer.from('answer'))
})

each('a reset is an error after the data before it', async ({ connection, peer, way }) => {
  if (way.kind !== 'tcp') {
    peer.destroy()
    // The stream just ends, or fails, if no reset is on the wire.
    await receiveAll(connection).catch(() => {})
    return
  }
  peer.write('last words')
  const frag = await connection.receive()
  assert.equal(frag.length, 10)
  frag.release()
  peer.resetAndDestroy()
  assert.equal(await rejected(connection.receive()), 'NETMEM_CONNECTION_RESET')
  await connection.closed
  assert.equal(connection.state.kind, 'failed')
  assert.equal(connection.state.error.code, 'NETMEM_CONNECTION_RESET')
  assert.equal(await rejected(connection.write('x')), 'NETMEM_CONNECTION_RESET')
})

each('destroy: receivers and writers hear of it', async ({ connection, peer }) => {
  const waiting = connection.receive()
  const reason = new Error('enough')
  connection.destroy(reason)
  await assert.rejects(waiting, reason)
  await connection.closed
  assert.deepEqual(connection.state, { kind: 'failed', error: reason })
  await new Promise((resolve) => {
    if (peer.destroyed) resolve()
    else peer.once('close', resolve).resume().end()
  })
})

each('close: sends what was written, and ends', async ({ connection, peer }) => {
  const received = collected(peer)
  const written = connection.write(payload)
  const closing = connection.close()
  await written
  same(await received, payload)
  peer.end()
  await closing
  await connection.closed
  assert.equal(connection.state.kind, 'closed')
  assert.equal(await rejected(connection.receive()), 'NETMEM_CONNECTION_CLOSED')
  await connection.close()
})

each('frags stay valid after the connection', async ({ connection, peer }) => {
  peer.write('kept')
  const frag = await connection.receive()
  connection.destroy()
  await connection.closed
  assert.equal(Buffer.from(frag.bytes).toString(), 'kept')
  frag.release()
})

each('leaving a loop leaves the connection open', async ({ connection, peer }) => {
  peer.write('first')
  for await (const frag of connection) {
    frag.release()
    break
  }
  peer.write('second')
  const frag = await connection.receive()
  assert.equal(Buffer.from(frag.bytes).toString(), 'second')
  frag.release()
})

const controller = { ofTest: new AbortController() }
for (const way of ways.slice(0, 2)) {
  test(`${way.kind}, ${way.side}: the signal of a connection destroys it`, async () => {
    controller.ofTest = new AbortController()
    await withEnds(
      way,
      async ({ connection }) => {
        const waiting = connection.receive()
        controller.ofTest.abort(new Error('stop'))
        assert.equal(await rejected(waiting), 'NETMEM_ABORTED')
        await connection.closed
      },
      { signal: controller.ofTest.signal },
    )
  })

  test(`${way.kind}, ${way.side}: an idle connection times out`, () =>
    withEnds(
      way,
      async ({ connection }) =>
        assert.equal(await rejected(connection.receive()), 'NETMEM_TIMEOUT'),
      { idleTimeoutMs: 20 },
    ))
}

test('a pool that is destroyed fails its connections', async () => {
  const pool = createPool(hostProvider({ pages: 1, pageSize: 4096 }))
  await withEnds(ways[0], async ({ connection, pool: own, peer }) => {
    const ended = own.destroy()
    peer.write(payload.subarray(0, 100_000))
    assert.equal(await rejected(receiveAll(connection)), 'NETMEM_POOL_DESTROYED')
    connection.destroy()
    await ended
  })
  await pool.destroy()
})
