import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { alignedBuffer } from '../../providers/aligned-memory.ts'
import type { Body } from '../client/body.ts'
import { getInto } from '../get-into.ts'
import { content, serve, sha256, transferring } from '../http.test.helper.ts'
import { readTouched } from './touch-ahead.ts'

const MIB = 1024 * 1024
/** Length of several steps and a part of one. */
const LARGE = 53 * MIB + 5

/** A body of `byte`s that says what was asked of it. */
class Fake implements Body {
  readonly length: number
  left: number
  readonly parts: number[] = []
  readonly #byte: number
  readonly #failAt: number

  constructor(length: number, byte: number, failAt = Number.POSITIVE_INFINITY) {
    this.length = length
    this.left = length
    this.#byte = byte
    this.#failAt = failAt
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const bytes = Math.min(view.byteLength, this.left)
    this.parts.push(bytes)
    if (this.length - this.left + bytes > this.#failAt) throw new Error('broken off')
    view.fill(this.#byte, 0, bytes)
    this.left -= bytes
    onProgress(bytes)
    return bytes
  }

  async next(): Promise<undefined> {}
  dropPresent(): void {}
  async atEnd(): Promise<boolean> {
    return this.left === 0
  }
}

describe('readTouched', () => {
  for (const shared of [false, true]) {
    it(`fills fresh memory step by step (${shared ? 'shared' : 'host'})`, async () => {
      const buffer = shared ? new SharedArrayBuffer(LARGE + 10) : new ArrayBuffer(LARGE + 10)
      const body = new Fake(LARGE, 7)
      const progress: number[] = []
      const view = new Uint8Array(buffer, 5)
      const bytes = await readTouched(body, view, (filled) => progress.push(filled), !shared)
      assert.equal(bytes, LARGE)
      assert.ok(
        view.subarray(0, LARGE).every((byte) => byte === 7),
        'no zero came late',
      )
      assert.deepEqual([...view.subarray(LARGE)], [0, 0, 0, 0, 0], 'nothing beyond the body')
      assert.ok(body.parts.length > 3)
      assert.equal(progress.at(-1), LARGE)
      assert.deepEqual(
        progress,
        [...progress].sort((a, b) => a - b),
      )
    })
  }

  it('leaves memory beyond the body alone', async () => {
    const view = new Uint8Array(LARGE + 4 * MIB)
    view.fill(3, LARGE)
    await readTouched(new Fake(LARGE, 7), view, () => {}, true)
    assert.ok(view.subarray(LARGE).every((byte) => byte === 3))
  })

  it('does nothing to memory that was used before', async () => {
    const view = new Uint8Array(LARGE).fill(9)
    const body = new Fake(LARGE, 7, 20 * MIB)
    await assert.rejects(
      readTouched(body, view, () => {}, true),
      /broken off/,
    )
    assert.ok(view.subarray(16 * MIB).every((byte) => byte === 9))
  })

  it('takes a small body, or one of unknown length, as a whole', async () => {
    const small = new Fake(MIB, 7)
    await readTouched(small, new Uint8Array(LARGE), () => {})
    assert.deepEqual(small.parts, [MIB])
    const unknown = new Fake(LARGE, 7)
    const view = new Uint8Array(LARGE)
    await readTouched({ ...asBody(unknown), left: undefined }, view, () => {})
    assert.deepEqual(unknown.parts, [LARGE])
  })

  it('writes no more to the memory once it has failed', async () => {
    const view = new Uint8Array(LARGE)
    await assert.rejects(
      readTouched(new Fake(LARGE, 7, 20 * MIB), view, () => {}, true),
      /broken off/,
    )
    view.fill(5)
    // 64 calls that end after all earlier work of libuv's threads.
    await Promise.all(Array.from({ length: 64 }, () => stat('.')))
    assert.ok(view.every((byte) => byte === 5))
  })

  it('leaves memory that can move to the socket, unless its owner says that it stays', async () => {
    for (const [memory, stays, touched] of [
      [new ArrayBuffer(LARGE), false, false],
      [new ArrayBuffer(LARGE), true, true],
      [new SharedArrayBuffer(LARGE), false, true],
      [alignedBuffer(LARGE), false, true],
    ] as const) {
      const body = new Fake(LARGE, 7)
      await readTouched(body, new Uint8Array(memory, 0, LARGE), () => {}, stays)
      assert.equal(body.parts.length > 1, touched)
    }
  })

  it('stops where the body ends early', async () => {
    const body = { ...asBody(new Fake(20 * MIB, 7)), left: LARGE }
    assert.equal(await readTouched(body, new Uint8Array(LARGE), () => {}, true), 20 * MIB)
  })

  it('stops where the memory has gone', async () => {
    const view = new Uint8Array(new ArrayBuffer(LARGE))
    const body = new Fake(LARGE, 7)
    const take = (): void => {
      if (view.byteLength > 0 && body.left < 20 * MIB)
        structuredClone(view, { transfer: [view.buffer] })
    }
    const reading = readTouched(body, view, take, true)
    assert.ok((await reading) < LARGE)
    assert.equal(view.byteLength, 0)
  })
})

/** The same body as a plain object. */
function asBody(body: Fake): Body {
  return {
    length: body.length,
    left: body.left,
    readInto: (view, onProgress) => body.readInto(view, onProgress),
    next: () => body.next(),
    atEnd: () => body.atEnd(),
  }
}

it('a large body arrives whole in fresh memory, over one connection and several', () =>
  transferring(async (options) => {
    const whole = Buffer.concat(Array.from({ length: 12 }, () => content))
    await using server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': whole.length }).end(whole)
    })
    const memory = new Uint8Array(whole.length)
    await getInto(server.url, memory, { ...options, sha256: sha256(whole) })
    assert.equal(Buffer.compare(memory, whole), 0)
  }))
