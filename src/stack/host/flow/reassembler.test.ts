import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertCode, end } from '../../../testing/pools.test.helper.ts'
import { ACK, FIN, RST, SYN } from '../../../wire/tcp.ts'
import type { AnySkb } from '../skb/skb.ts'
import { iovSource, pageSource, pattern } from '../skb/skbs.test.helper.ts'
import { layoutOf } from './frames.test.helper.ts'
import { watch } from './reassembler.test.helper.ts'
import { Reassembler } from './reassembler.ts'

test('segments in order go straight on, and FIN ends them', async () => {
  const source = pageSource()
  const { stream, send, text } = watch(source)
  assert.equal(stream.state, 'idle')
  send(99, '', SYN)
  send(100, 'hello ')
  send(106, 'wor')
  send(109, 'ld', FIN | ACK)
  assert.equal(text(), 'hello world')
  assert.equal(stream.state, 'finished')
  // Retransmitted as a whole, and something that was never the stream's.
  send(100, 'hello world', FIN | ACK)
  send(112, 'late')
  assert.equal(text(), 'hello world')
  assert.equal(stream.stats().duplicate_bytes, 11)
  assert.equal(stream.stats().after_end_bytes, 4)
  await end(source.pool)
})

test('numbers wrap around', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0xffff_fffd, '', SYN)
  send(4, 'ef', FIN)
  send(0xffff_fffe, 'wrap')
  send(2, '!?')
  assert.equal(text(), 'wrap!?ef')
  assert.equal(stream.state, 'finished')
  assert.equal(stream.stats().out_of_order, 1)
  await end(source.pool)
})

test('of bytes that come twice the first copy counts, also while they wait', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'AB', ACK)
  send(4, 'EF')
  send(8, 'IJ')
  // Covers both of them from the front, with linear bytes across a border.
  send(3, 'defghijkl', ACK, 2)
  assert.equal(stream.queuedBytes, 9)
  send(1, 'bcd')
  assert.equal(text(), 'ABcdEFghIJkl')
  assert.equal(stream.stats().duplicate_bytes, 1 + 4 + 1)
  assert.equal(stream.queuedSkbs, 0)
  await end(source.pool)
})

test('a segment over all that waits is delivered although the queue is full', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source, { queueSkbs: 1 })
  send(0, 'a')
  send(2, 'C')
  send(4, 'E')
  assert.equal(stream.stats().dropped, 1)
  send(1, 'bcdefg')
  assert.equal(text(), 'abCdefg')
  await end(source.pool)
})

test('RST ends the stream where it stands, and is told from FIN', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'abc')
  send(1, 'ignored: it is old', RST)
  assert.equal(stream.state, 'open')
  send(3, 'why', RST | ACK)
  assert.equal(text(), 'abc')
  assert.equal(stream.state, 'reset')
  send(3, 'def')
  assert.equal(stream.stats().after_end_bytes, 3)
  const refused = watch(source)
  refused.send(0, '', RST | ACK)
  assert.equal(refused.stream.state, 'reset')
  await end(source.pool)
})

test('a RST that is not the next byte ends nothing yet', async () => {
  const source = pageSource()
  for (const awaitSyn of [false, true]) {
    const { send, text, stream } = watch(source, { awaitSyn })
    send(-1, '', SYN)
    send(8, 'i')
    for (const ahead of [1, 3, 6, 8, 9, 1000]) send(ahead, '', RST)
    assert.equal(stream.queuedBytes, 1)
    send(0, 'abc')
    send(3, 'def')
    send(6, 'gh')
    assert.deepEqual([text(), stream.state], ['abcdefghi', 'open'])
    send(9, 'j', FIN)
    assert.deepEqual([text(), stream.state], ['abcdefghij', 'finished'])
    assert.equal(stream.stats().after_end_bytes, 0)
    // A reset counts at the end of a capture if the stream has come to it: it was overtaken.
    const early = watch(source, { awaitSyn })
    early.send(-1, '', SYN)
    early.send(3, '', RST)
    early.send(0, 'abc')
    early.stream.flushGaps()
    assert.deepEqual([early.text(), early.stream.state], ['abc', 'reset'])
    const beyond = watch(source, { awaitSyn })
    beyond.send(-1, '', SYN)
    beyond.send(4, '', RST)
    beyond.send(0, 'abc')
    beyond.stream.flushGaps()
    assert.deepEqual([beyond.stream.state, beyond.stream.stats().gaps], ['open', 0])
  }
  // A reset does not count while a SYN is waited for, unless it is the end of what waits.
  for (const [resetAt, state] of [
    [0, 'open'],
    [2, 'open'],
    [3, 'open'],
    [6, 'reset'],
    [7, 'open'],
  ] as const) {
    const held = watch(source, { awaitSyn: true })
    held.send(3, 'def')
    held.send(resetAt, '', RST)
    held.send(0, 'abc')
    held.send(-1, '', SYN)
    assert.deepEqual([held.text(), held.stream.state], ['abcdef', state])
    held.stream.close()
  }
  await end(source.pool)
})

test('what waits behind the end is freed when the end is known', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'a')
  send(4, 'efgh')
  send(9, 'jkl')
  send(3, 'd', FIN)
  assert.equal(stream.queuedBytes, 1)
  assert.equal(stream.stats().after_end_bytes, 7)
  send(1, 'bc')
  assert.equal(text(), 'abcd')
  assert.equal(stream.state, 'finished')
  await end(source.pool)
})

test('gaps that never fill are counted and passed over', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0xffff_fff0, 'a')
  send(0xffff_fff5, 'f')
  send(20, 'z')
  send(30, '', FIN)
  stream.flushGaps()
  assert.equal(text(), 'afz')
  assert.equal(stream.state, 'finished')
  const { gaps, gap_bytes } = stream.stats()
  assert.deepEqual({ gaps, gap_bytes }, { gaps: 3, gap_bytes: 4 + 30 + 9 })
  stream.flushGaps()
  assert.equal(stream.stats().gaps, 3)
  await end(source.pool)
})

test('the queue is bounded by bytes and skbs; what gives way is chosen', async () => {
  const source = pageSource()
  for (const options of [{ queueBytes: 2 }, { queueSkbs: 2 }]) {
    const dropping = watch(source, options)
    dropping.send(0, '0')
    for (const seq of [2, 4, 6]) dropping.send(seq, `${seq}`)
    assert.equal(dropping.stream.queuedSkbs, 2)
    assert.equal(dropping.stream.stats().dropped, 1)
    assert.equal(dropping.stream.stats().dropped_bytes, 1)
    dropping.send(1, '1')
    dropping.send(3, '3')
    assert.equal(dropping.text(), '01234')
    dropping.stream.close()
    const skipping = watch(source, { ...options, whenFull: 'skip' })
    skipping.send(0, '0')
    for (const seq of [4, 6, 2]) skipping.send(seq, `${seq}`)
    // The bytes before 2 are missing, and 2 is the first after them.
    assert.equal(skipping.text(), '02')
    skipping.send(8, '8')
    assert.equal(skipping.text(), '024')
    skipping.send(10, 'a')
    assert.equal(skipping.text(), '0246')
    assert.equal(skipping.stream.stats().gaps, 3)
    skipping.stream.flushGaps()
    assert.equal(skipping.text(), '02468a')
    assert.equal(skipping.stream.stats().gap_bytes, 5)
    assert.equal(skipping.stream.stats().dropped, 0)
  }
  assertCode('NETMEM_OUT_OF_RANGE', () => new Reassembler(() => {}, { queueSkbs: -1 }))
  await end(source.pool)
})

test('close gives back what waits, from within the sink too', async () => {
  const source = pageSource()
  let stream: Reassembler
  let seen = 0
  const sink = (skb: AnySkb): void => {
    seen++
    skb.free()
    stream.close()
  }
  for (const last of ['b', 'bcdefgh']) {
    stream = new Reassembler(sink)
    seen = 0
    const send = (seq: number, text: string): void =>
      stream.receive(source.of(Buffer.from(text)), layoutOf(seq))
    stream.receive(source.of(new Uint8Array(0)), layoutOf(0, SYN))
    send(3, 'c')
    send(5, 'e')
    send(2, last)
    assert.equal(seen, 0)
    send(1, last)
    assert.equal(seen, 1)
    assert.equal(source.pool.out, 0)
    send(100, 'more')
    stream.flushGaps()
    assert.equal(stream.state, 'closed')
    stream.close()
    assert.equal(source.pool.out, 0)
  }
  await end(source.pool)
})

test('urgent data stays in line', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'before ')
  const layout = layoutOf(7, 0x38)
  layout.urgentPointer = 1
  stream.receive(source.of(Buffer.from('!after')), layout)
  assert.equal(text(), 'before !after')
  await end(source.pool)
})

test('device memory is put in order unseen, and pages may come before it', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const seen: [string, number][] = []
  const stream = new Reassembler((skb) => {
    seen.push([skb.kind, skb.payloadLength])
    skb.free()
  })
  const device = (seq: number, length: number): void => {
    iovs.forget()
    const skb = iovs.skb([{ netmem: 0, offset: 0, length }], pattern(4))
    stream.receive(skb, layoutOf(seq))
  }
  stream.receive(pages.of(pattern(10)), layoutOf(0))
  device(20, 6)
  device(40, 6)
  device(15, 41)
  stream.receive(pages.of(pattern(10)), layoutOf(10))
  // 15 to 60, four bytes of it linear, with 20 to 30 and 40 to 50 cut out. The page also has what came before 15.
  assert.deepEqual(seen, [
    ['page', 10],
    ['page', 5],
    ['net_iov', 5],
    ['net_iov', 10],
    ['net_iov', 10],
    ['net_iov', 10],
    ['net_iov', 10],
  ])
  iovs.forget()
  await end(pages.pool, iovs.pool)
})
