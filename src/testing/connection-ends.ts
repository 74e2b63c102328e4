/**
 * Two connected ends, and the stream that tests send from one to the other. Its byte at each place is
 * known, so a test can compare any part of it.
 */

import assert from 'node:assert/strict'
import type { Connection } from '../connection.ts'
import { isNetmemError } from '../errors.ts'
import type { HostFrag } from '../pool/frag.ts'

/** Both ends of one connection, which may receive into one pool or two. */
export interface ConnectionEnds {
  /** The end under test. */
  readonly connection: Connection
  /** The other end. */
  readonly peer: Connection
  /** True if the transport has resets: a peer that destroys its end with a reason sends one. */
  readonly resets: boolean
  /** Called when the test is over and both ends are closed. */
  readonly close?: () => void | Promise<void>
}

/** Bytes of one write. */
export const CHUNK: number = 64 * 1024
/** A prime, so that no two pages or reads hold the same bytes. */
const PERIOD = 65_521
const CONTENTS = Uint8Array.from({ length: PERIOD + CHUNK }, (_, at) => {
  const position = at % PERIOD
  return position ^ (position >>> 8)
})

/** Bytes `offset` to `offset + length` of an endless pattern. */
export function pattern(offset: number, length: number): Uint8Array {
  const from = offset % PERIOD
  if (length <= CHUNK) return CONTENTS.subarray(from, from + length)
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += CHUNK) {
    bytes.set(pattern(offset + at, Math.min(CHUNK, length - at)), at)
  }
  return bytes
}

export function same(bytes: Uint8Array, offset: number): void {
  const expected = pattern(offset, bytes.byteLength)
  assert.equal(Buffer.compare(bytes, expected), 0, `bytes from ${offset}`)
}

/** Writes `bytes` bytes of the pattern from `offset` on, one write after the other. */
export async function sendPattern(to: Connection, offset: number, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += CHUNK) {
    await to.write(pattern(offset + at, Math.min(CHUNK, bytes - at)))
  }
}

/** Receives `bytes` bytes, or to the end, and compares them with the pattern from `offset` on. */
export async function receivePattern(
  from: Connection,
  offset: number,
  bytes: number = Number.POSITIVE_INFINITY,
): Promise<number> {
  let at = 0
  let frag: HostFrag | undefined
  while (at < bytes) {
    frag = await from.receive()
    if (frag === undefined) break
    try {
      same(frag.bytes, offset + at)
      at += frag.length
    } finally {
      frag.release()
    }
  }
  return at
}

/** Code that `promise` rejects with, or `resolved`. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    assert.ok(isNetmemError(error), `an error with a code, not ${error}`)
    return error.code
  }
}
