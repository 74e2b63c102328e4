import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ClientError, encodeJson, State } from './protocol.ts'
import { ask, type Bench, COOKIE, outcome, RESULTS } from './scripted-client.test.helper.ts'
import type { Iperf3Summary } from './summary.ts'

const error = (number: ClientError) => [State.serverError, 0, 0, 0, (number << 24) >> 24]

describe('an iperf3 server', () => {
  it('runs a test, however small the pieces', async () => {
    const bytewise = (bytes: Uint8Array) => [...bytes].map((byte) => Uint8Array.of(byte))
    const summary = await outcome(async (bench) => {
      const control = bench.connect(...COOKIE.split(''), ...bytewise(ask({ num: 3 })))
      await control.heard(2)
      bench.connect(`${COOKIE}a`).say('b', 'c')
      assert.deepEqual(await control.heard(2), [State.testStart, State.testRunning])
      control.say(State.testEnd)
      assert.deepEqual(await control.heard(1), [State.exchangeResults])
      control.say(...bytewise(RESULTS), State.iperfDone, 'fin')
      await control.gone()
    })
    assert.equal(summary.kind, 'completed')
    assert.deepEqual(
      [summary.bytes, summary.streams, summary.sender],
      [3, [{ id: 1, bytes: 3 }], { bytes: 3, retransmits: 0, cpuTotal: 1 }],
    )
  })

  for (const [name, greeting] of [
    ['no cookie', ''],
    ['half a cookie', 'abc'],
    ['another protocol', 'GET / HTTP/1.1\r\nHost: 192.0.2.1:5201\r\n\r\n'],
  ] as const) {
    it(`closes a connection that sends ${name}, and serves others`, async () => {
      await outcome(async (bench) => {
        const stranger = bench.connect(greeting)
        const { control } = await bench.running()
        control.say(State.clientTerminate)
        await stranger.gone()
      })
    })
  }

  const endings: readonly (readonly [
    name: string,
    (bench: Bench) => Promise<void>,
    Iperf3Summary['kind'],
    reason: RegExp,
  ])[] = [
    [
      'a client that asks for nothing',
      async (b) => void b.connect(COOKIE),
      'failed',
      /does not answer/,
    ],
    [
      'a client that leaves before it asks',
      async (b) => b.connect(COOKIE).say('fin'),
      'failed',
      /closed/,
    ],
    [
      'a client that resets',
      async (b) => b.connect(COOKIE).say(new Error('ECONNRESET')),
      'failed',
      /broke: ECONNRESET/,
    ],
    [
      'a client that leaves in the middle',
      async (b) => b.connect(COOKIE, ask().subarray(0, 9)).say('fin'),
      'failed',
      /closed/,
    ],
    [
      'a client without streams',
      async (b) => void b.connect(COOKIE, ask()),
      'failed',
      /1 of 1 streams/,
    ],
    [
      'a client that leaves before its streams',
      async (b) => b.connect(COOKIE, ask()).say('fin'),
      'failed',
      /closed/,
    ],
    [
      'too few streams',
      async (b) => {
        const control = b.connect(COOKIE, ask({ parallel: 2 }))
        await control.heard(2)
        b.connect(COOKIE)
        assert.deepEqual(await control.heard(5), error(ClientError.acceptStream))
      },
      'failed',
      /1 of 2 streams/,
    ],
    [
      'an end before the streams',
      async (b) => b.connect(COOKIE, ask()).say(State.testEnd),
      'failed',
      /streams/,
    ],
    [
      'a huge length',
      async (b) => {
        const control = b.connect(COOKIE, Uint8Array.of(0xff, 0xff, 0xff, 0xff))
        assert.deepEqual((await control.heard(6)).slice(1), error(ClientError.receiveParameters))
      },
      'failed',
      /65536/,
    ],
    [
      'no JSON',
      async (b) => {
        const control = b.connect(COOKIE, encodeJson('{"tcp":'))
        assert.deepEqual((await control.heard(6)).slice(1), error(ClientError.receiveParameters))
      },
      'refused',
      /JSON/,
    ],
    [
      'an unknown state',
      async (b) => {
        const { control } = await b.running()
        control.say(99)
        assert.deepEqual(await control.heard(5), error(ClientError.unknownMessage))
      },
      'failed',
      /state 99/,
    ],
    [
      'ctrl-C',
      async (b) => (await b.running()).control.say(State.clientTerminate, 'fin'),
      'terminated',
      /client/,
    ],
    [
      'a client that dies in the test',
      async (b) => {
        const { control, data } = await b.running()
        data.say(new Error('ECONNRESET'))
        control.say('fin')
      },
      'failed',
      /closed/,
    ],
    [
      'a client that sends nothing',
      async (b) => {
        const { control } = await b.running()
        assert.deepEqual(await control.heard(5), error(ClientError.idle))
      },
      'failed',
      /no data/,
    ],
    [
      'no results',
      async (b) => (await b.running()).control.say(State.testEnd),
      'failed',
      /does not answer/,
    ],
    [
      'wrong results',
      async (b) => (await b.running()).control.say(State.testEnd, encodeJson('[]')),
      'failed',
      /results/,
    ],
  ]
  for (const [name, scenario, kind, reason] of endings) {
    it(`ends with ${name}`, async () => {
      const summary = await outcome(scenario)
      assert.equal(summary.kind, kind)
      assert.match(summary.kind === 'completed' ? '' : summary.reason, reason)
    })
  }
})
