import assert from 'node:assert/strict'
import { test } from 'node:test'
import { end } from '../../../testing/pools.test.helper.ts'
import { FIN, RST, SYN } from '../../../wire/tcp.ts'
import { pageSource } from '../skb/skbs.test.helper.ts'
import { layoutOf } from './frames.test.helper.ts'
import { watch } from './reassembler.test.helper.ts'

test('the stream begins with SYN, data in it included, or with the first data seen', async () => {
  const source = pageSource()
  const opened = watch(source)
  opened.send(0xffff_ffff, 'fast open', SYN)
  assert.equal(opened.text(), 'fast open')
  const joined = watch(source)
  // A keep-alive probe has the number before the next.
  joined.send(499, '')
  assert.equal(joined.stream.state, 'idle')
  joined.send(500, 'in ')
  joined.send(490, 'before; ')
  joined.send(503, 'the middle')
  assert.equal(joined.text(), 'in the middle')
  await end(source.pool)
})

test('with awaitSyn, a SYN and first data that were overtaken lose nothing', async () => {
  const source = pageSource()
  const { stream, send, text } = watch(source, { awaitSyn: true })
  send(6, 'world', FIN)
  send(0, 'hello ')
  assert.deepEqual([text(), stream.state, stream.queuedBytes], ['', 'idle', 11])
  assert.ok(!stream.startsAnew(layoutOf(-1, SYN)))
  send(-1, '', SYN)
  assert.deepEqual([text(), stream.state], ['hello world', 'finished'])
  assert.deepEqual([stream.stats().gaps, stream.stats().duplicate_bytes], [0, 0])
  // The bytes between the SYN and the first data are missing, like any other gap.
  const late = watch(source, { awaitSyn: true })
  late.send(6, 'world')
  late.send(-1, '', SYN)
  assert.deepEqual([late.text(), late.stream.state], ['', 'open'])
  late.send(0, 'hello ')
  assert.equal(late.text(), 'hello world')
  await end(source.pool)
})

test('a bare FIN does not end the wait for the SYN, however full the queue is', async () => {
  for (const whenFull of ['drop', 'skip'] as const) {
    const source = pageSource()
    const { stream, send, text } = watch(source, { awaitSyn: true, queueSkbs: 1, whenFull })
    send(6, 'world')
    send(11, '', FIN)
    assert.deepEqual([text(), stream.state, stream.queuedBytes], ['', 'idle', 5])
    send(-1, 'hello ', SYN)
    assert.deepEqual([text(), stream.state], ['hello world', 'finished'])
    await end(source.pool)
  }
})

test('a stream waits for its SYN until start(), a full queue, or the end', async () => {
  const source = pageSource()
  const told = watch(source, { awaitSyn: true })
  told.stream.start()
  told.send(10, 'b')
  told.send(12, 'd')
  told.send(9, 'a')
  told.stream.start()
  assert.deepEqual([told.text(), told.stream.state], ['ab', 'open'])
  told.send(8, '', SYN)
  told.send(11, 'c')
  assert.equal(told.text(), 'abcd')
  for (const options of [{ queueSkbs: 2 }, { queueBytes: 2 }, { queueSkbs: 0 }] as const) {
    for (const whenFull of ['drop', 'skip'] as const) {
      const full = watch(source, { awaitSyn: true, whenFull, ...options })
      for (const [at, byte] of ['a', 'b', 'c'].entries()) full.send(at, byte)
      assert.equal(full.text(), 'abc')
    }
  }
  const over = watch(source, { awaitSyn: true })
  over.send(5, 'f', FIN)
  over.send(0, 'a')
  over.stream.flushGaps()
  assert.deepEqual([over.text(), over.stream.state], ['af', 'finished'])
  assert.equal(over.stream.stats().gap_bytes, 4)
  for (const [flag, state] of [
    [FIN, 'finished'],
    [RST, 'reset'],
  ] as const) {
    const ended = watch(source, { awaitSyn: true })
    ended.send(0, '', flag)
    assert.equal(ended.stream.state, 'idle')
    ended.stream.start()
    assert.equal(ended.stream.state, state)
  }
  const closed = watch(source, { awaitSyn: true })
  closed.send(0, 'a')
  closed.stream.close()
  closed.stream.start()
  assert.deepEqual([closed.text(), closed.stream.state], ['', 'closed'])
  await end(source.pool)
})

test('a SYN behind what waits for one, or far before it, is of another connection', async () => {
  const source = pageSource()
  for (const seq of [99, -200, 2 ** 31]) {
    const { stream, send, text } = watch(source, { awaitSyn: true, queueBytes: 100 })
    send(1, 'bc')
    assert.ok(!stream.startsAnew(layoutOf(0, SYN)))
    assert.ok(!stream.startsAnew(layoutOf(-100, SYN)))
    assert.ok(stream.startsAnew(layoutOf(seq, SYN)))
    // A caller that still sends it to this stream gets the bytes behind it, or those that came first.
    send(seq, 'x', SYN)
    assert.equal(text(), seq === 99 ? 'x' : 'bc')
    stream.close()
  }
  await end(source.pool)
})

test('what is too far ahead is of another connection; a SYN tells', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(9, '', SYN)
  assert.ok(!stream.startsAnew(layoutOf(9, SYN)), 'the same SYN again')
  assert.ok(stream.startsAnew(layoutOf(10, SYN)))
  assert.ok(!stream.startsAnew(layoutOf(10)))
  send(10 + 2 ** 30 + 1, 'x')
  assert.equal(stream.stats().out_of_window, 1)
  send(10, 'y', FIN)
  assert.equal(text(), 'y')
  assert.ok(!stream.startsAnew(layoutOf(9, SYN)))
  assert.ok(stream.startsAnew(layoutOf(5000, SYN)))
  const joined = watch(source)
  joined.send(10, 'y')
  assert.ok(!joined.stream.startsAnew(layoutOf(9, SYN)), 'it may be late')
  await end(source.pool)
})
