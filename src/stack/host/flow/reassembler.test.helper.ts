/** Helper of the tests of the reassembler. Not published. */

import assert from 'node:assert/strict'
import { ACK } from '../../../wire/tcp.ts'
import { type PageSource, payload } from '../skb/skbs.test.helper.ts'
import { layoutOf } from './frames.test.helper.ts'
import { Reassembler } from './reassembler.ts'
import type { ReassemblerOptions } from './stream-types.ts'

/** Makes a reassembler, and collects the bytes that come out of it. */
export function watch(
  source: PageSource,
  options?: ReassemblerOptions,
): {
  stream: Reassembler
  send: (seq: number, bytes: Uint8Array | string, flags?: number, linear?: number) => void
  text: () => string
  out: number[]
} {
  const out: number[] = []
  const stream = new Reassembler((skb) => {
    assert.ok(skb.kind === 'page')
    assert.ok(skb.payloadLength > 0)
    out.push(...payload(skb))
    skb.free()
  }, options)
  return {
    stream,
    out,
    send: (seq, bytes, flags = ACK, linear = 0) => {
      const skb = source.of(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, linear)
      stream.receive(skb, layoutOf(seq, flags))
    },
    text: () => Buffer.from(out).toString(),
  }
}
