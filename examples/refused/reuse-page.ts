/**
 * A program that would use a page again while a consumer still reads it. With a buffer that is read
 * into again and again, this mistake compiles: the next read overwrites bytes that the consumer has
 * not seen. Here only the holder of a frag can give its memory back, so the program does not compile.
 */

import { createPool, hostProvider, release } from 'netmem'
import { type Connection, receiveInto } from 'netmem/net'

const pool = createPool(hostProvider({ pages: 1 }))

export async function reuse(
  connection: Connection,
  consume: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const frag = await connection.receive()
  if (frag === undefined) return
  const reading = consume(frag.bytes)
  // The page would be filled again at once, and `consume` still reads it.
  pool.put(frag)
  release(frag)
  await receiveInto(connection, frag)
  await reading
}

/** Compiles: the memory goes back when the consumer is done. */
export async function wait(
  connection: Connection,
  consume: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const frag = await connection.receive()
  if (frag === undefined) return
  await consume(frag.bytes)
  frag.release()
}
