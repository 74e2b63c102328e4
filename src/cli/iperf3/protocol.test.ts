import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { parseParameters } from './parameters.ts'
import {
  ClientError,
  COOKIE_BYTES,
  encodeError,
  encodeJson,
  encodeState,
  parseCookie,
  SentErrno,
  State,
  streamId,
} from './protocol.ts'
import { parseResults, resultsJson } from './results.ts'

/** Parameters that iperf 3.12 sends for `iperf3 -c HOST`. */
const PLAIN = {
  tcp: true,
  omit: 0,
  time: 10,
  num: 0,
  blockcount: 0,
  parallel: 1,
  len: 131_072,
  pacing_timer: 1000,
  client_version: '3.12',
}

describe('parameters', () => {
  const accepted = [
    ['-t 10', {}, { streams: 1, end: { kind: 'time', seconds: 10 } }],
    ['-n 50M', { time: 0, num: 52_428_800 }, { end: { kind: 'bytes', bytes: 52_428_800 } }],
    [
      '-n 100P',
      { time: 0, num: 112_589_990_684_262_400 },
      { end: { kind: 'bytes', bytes: 112_589_990_684_262_400 } },
    ],
    ['-k 400', { time: 0, blockcount: 400 }, { end: { kind: 'blocks', blocks: 400 } }],
    ['-t 0', { time: 0 }, { end: { kind: 'open' } }],
    [
      '-P 128 -l 64K -O 2',
      { parallel: 128, len: 65_536, omit: 2 },
      { streams: 128, blockBytes: 65_536, omitSeconds: 2 },
    ],
    ['--get-server-output', { get_server_output: 1 }, { serverOutput: true }],
    ['-T with a terminal escape', { title: '\u001b[2Jhello' }, { title: '[2Jhello' }],
    [
      'what concerns the sender alone',
      {
        MSS: 1000,
        window: 262_144,
        nodelay: true,
        congestion: 'reno',
        bandwidth: 1e6,
        TOS: 8,
        zerocopy: 1,
      },
      {},
    ],
    ['a field of a later version', { something_new: { a: 1 } }, {}],
    ['an option switched off', { reverse: false }, {}],
    ['invalid options', { udp: null, reverse: 0, authtoken: '', skip_rx_copy: -1 }, {}],
    ['no protocol', { tcp: undefined }, { streams: 1 }],
    ['a negative time', { time: -1 }, { end: { kind: 'open' } }],
    ['half a second', { time: 0.5 }, { end: { kind: 'open' } }],
    ['2^64 - 1 for -1', { num: 2 ** 64, omit: 2 ** 64 }, { omitSeconds: 0 }],
    ['null for streams', { parallel: null }, { streams: 1 }],
    ['a number in quotes', { num: '50' }, { end: { kind: 'time', seconds: 10 } }],
    ['a list for a number', { len: [1] }, { blockBytes: 131_072 }],
  ] as const
  for (const [name, fields, expected] of accepted) {
    it(`takes ${name}`, () => {
      const parsed = parseParameters(JSON.stringify({ ...PLAIN, ...fields }))
      assert.equal(parsed.kind, 'accepted')
      assert.deepEqual(parsed.parameters, { ...parsed.parameters, ...expected })
    })
  }

  const refused = [
    ['-u', { tcp: undefined, udp: true }, ClientError.protocol, SentErrno.none],
    ['--sctp', { tcp: undefined, sctp: true }, ClientError.noSctp, SentErrno.none],
    ['-R', { reverse: true }, ClientError.notImplemented, SentErrno.none],
    ['--bidir', { bidirectional: true }, ClientError.notImplemented, SentErrno.none],
    ['--skip-rx-copy', { skip_rx_copy: 1 }, ClientError.notImplemented, SentErrno.none],
    ['--username', { authtoken: 'x' }, ClientError.authorization, SentErrno.none],
    ['-A 1,1', { server_affinity: 1 }, ClientError.affinity, SentErrno.notSupported],
    ['-A 1,0', { server_affinity: 0 }, ClientError.affinity, SentErrno.notSupported],
    ['129 streams', { parallel: 129 }, ClientError.streamCount, SentErrno.none],
    ['no stream', { parallel: 0 }, ClientError.streamCount, SentErrno.none],
    ['a day and a second', { time: 86_401 }, ClientError.duration, SentErrno.none],
    ['a long warm-up', { omit: 601 }, ClientError.omit, SentErrno.none],
    ['large blocks', { len: 1_048_577 }, ClientError.blockSize, SentErrno.none],
    ['-n and -k', { num: 1, blockcount: 1 }, ClientError.endConditions, SentErrno.none],
  ] as const
  for (const [name, fields, error, errno] of refused) {
    it(`refuses ${name}`, () => {
      const parsed = parseParameters(JSON.stringify({ ...PLAIN, ...fields }))
      assert.equal(parsed.kind, 'refused')
      assert.equal(parsed.refusal.error, error)
      assert.equal(parsed.refusal.errno, errno)
      assert.notEqual(parsed.refusal.reason, '')
    })
  }

  it('takes a NUL behind it', () => {
    assert.equal(parseParameters(`${JSON.stringify(PLAIN)}\0x`).kind, 'accepted')
  })

  for (const text of ['', '{', 'null', '[]', '1', '"tcp"', '['.repeat(60_000), '\u0000']) {
    it(`refuses ${JSON.stringify(text.slice(0, 8))} as malformed`, () => {
      const parsed = parseParameters(text)
      assert.equal(parsed.kind, 'refused')
      assert.equal(parsed.refusal.error, ClientError.receiveParameters)
    })
  }
})

describe('results', () => {
  it('have the fields a client insists on', () => {
    const cpu = { total: 3, user: 1, system: 2 }
    const text = resultsJson({
      cpu,
      seconds: 2.5,
      streams: [
        { id: 1, bytes: 10 },
        { id: 3, bytes: 20 },
      ],
      serverOutput: undefined,
    })
    assert.deepEqual(JSON.parse(text), {
      cpu_util_total: 3,
      cpu_util_user: 1,
      cpu_util_system: 2,
      sender_has_retransmits: -1,
      streams: [1, 3].map((id, i) => ({
        id,
        bytes: 10 * (i + 1),
        retransmits: -1,
        jitter: 0,
        errors: 0,
        packets: 0,
        start_time: 0,
        end_time: 2.5,
      })),
    })
  })

  it('carry the report if there is one', () => {
    const text = resultsJson({
      cpu: { total: 0, user: 0, system: 0 },
      seconds: 1,
      streams: [],
      serverOutput: 'a\nb',
    })
    assert.match(text, /"server_output_text":"a\\nb"/)
  })

  const stream = { id: 1, bytes: 100, retransmits: 2 }
  const nothing = { bytes: undefined, retransmits: undefined, cpuTotal: undefined }
  const cases = [
    [
      'one stream',
      { cpu_util_total: 5, streams: [stream] },
      { bytes: 100, retransmits: 2, cpuTotal: 5 },
    ],
    [
      'two streams',
      { cpu_util_total: 5, streams: [stream, { ...stream, id: 3 }] },
      { bytes: 200, retransmits: 4, cpuTotal: 5 },
    ],
    [
      'unknown retransmits',
      { cpu_util_total: 5, streams: [{ ...stream, retransmits: -1 }] },
      { bytes: 100, retransmits: undefined, cpuTotal: 5 },
    ],
    [
      '2^64 - 1 retransmits, for -1',
      { cpu_util_total: 5, streams: [{ ...stream, retransmits: 2 ** 64 }] },
      { bytes: 100, retransmits: undefined, cpuTotal: 5 },
    ],
    ['no streams', { cpu_util_total: 5 }, { ...nothing, cpuTotal: 5 }],
    ['no CPU', { streams: [stream] }, { bytes: 100, retransmits: 2, cpuTotal: undefined }],
    ['CPU times that are null', { cpu_util_total: null }, nothing],
    ['an invalid stream', { cpu_util_total: 5, streams: [null] }, { ...nothing, cpuTotal: 5 }],
    ['an invalid number of bytes', { streams: [{ bytes: 'many' }] }, nothing],
  ] as const
  for (const [name, fields, expected] of cases) {
    it(`of a client with ${name}`, () =>
      assert.deepEqual(parseResults(JSON.stringify(fields)), expected))
  }
  it('of a client that are no JSON', () => assert.equal(parseResults('x'), undefined))
})

describe('framing', () => {
  it('puts states and errors in network order', () => {
    assert.deepEqual([...encodeState(State.createStreams)], [10])
    assert.deepEqual([...encodeState(State.accessDenied)], [0xff])
    assert.deepEqual(
      [...encodeError(ClientError.acceptStream, SentErrno.timedOut)],
      [0xfe, 0, 0, 0, 204, 0, 0, 0, 110],
    )
  })

  it('puts the length in bytes, not characters, before a JSON text', () => {
    assert.deepEqual([...encodeJson('"é"')], [0, 0, 0, 4, 0x22, 0xc3, 0xa9, 0x22])
  })

  it('numbers streams as iperf3 does', () => {
    assert.deepEqual([0, 1, 2, 3].map(streamId), [1, 3, 4, 5])
  })

  const cookie = `${'abcdefghijklmnopqrstuvwxyz234567'.padEnd(COOKIE_BYTES - 1, 'z')}`
  const cookies = [
    ['a cookie', `${cookie}\0`, cookie],
    ['one without its NUL', `${cookie}x`, undefined],
    ['one that is cut off', `${cookie.slice(1)}\0`, undefined],
    ['one that is filled up', 'short-cookie'.padEnd(COOKIE_BYTES, '\0'), 'short-cookie'],
    ['one with something behind its end', `a\0b`.padEnd(COOKIE_BYTES, '\0'), undefined],
    ['an HTTP request', 'GET / HTTP/1.1\r\nHost: 192.0.2.1:5201\r', undefined],
    ['zeros', '\0'.repeat(COOKIE_BYTES), undefined],
  ] as const
  for (const [name, text, expected] of cookies) {
    it(`reads ${name}`, () => assert.equal(parseCookie(new TextEncoder().encode(text)), expected))
  }
})
