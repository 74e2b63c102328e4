/** Payload of an ordinary socket in the pages of a dma-buf. Not published. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { connect } from '../../net/index.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { DmaBufPageProvider } from './dma-buf-providers.ts'

/** Receives 3 MiB through a pool of `provider`, and looks for the payload in the dma-buf. */
export async function receivesPayload(provider: DmaBufPageProvider): Promise<void> {
  const pool = createPool(provider)
  using mapping = provider.dmabuf.map()
  const payload = Buffer.alloc(3 * 2 ** 20, 'netmem')
  const server = net.createServer((socket) => socket.end(payload))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const connection = await connect({ pool, port: address.port, host: '127.0.0.1' })
  let bytes = 0
  for await (const frag of connection) {
    assert.ok(payload.subarray(bytes, bytes + frag.bytes.length).equals(frag.bytes))
    bytes += frag.bytes.length
    frag.release()
  }
  await connection.close()
  server.close()
  assert.equal(bytes, payload.length)
  assert.ok(Buffer.from(mapping.bytes).includes('netmemnetmem'), 'the payload is in the dma-buf')
  await pool.destroy()
}
