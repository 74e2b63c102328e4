import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'

import { turns } from '../../testing/waiting.test.helper.ts'
import { ControlChannel } from './control.ts'
import { State } from './protocol.ts'
import { ask, COOKIE, OTHER, outcome, Peer } from './scripted-client.test.helper.ts'
import { serveIperf3 } from './server.ts'

describe('an iperf3 server, busy and at its end', () => {
  it('turns away other clients, a stream too many, and a stream too late', async () => {
    const denied = async (peer: Peer) => {
      assert.deepEqual(await peer.heard(1), [State.accessDenied])
      await peer.gone()
    }
    await outcome(
      async (bench) => {
        const { control } = await bench.running()
        await denied(bench.connect(OTHER, ask()))
        await denied(bench.connect(COOKIE))
        control.say(State.clientTerminate)
        await control.gone()
        await denied(bench.connect(COOKIE))
      },
      { timeouts: { idleMs: 5_000 } },
    )
  })

  it('steers data connections before their client may send, and says if it cannot', async () => {
    const summary = await outcome(async (bench) => {
      const control = bench.connect(COOKIE, ask({ parallel: 2 }))
      assert.deepEqual(await control.heard(2), [State.paramExchange, State.createStreams])
      bench.connect(COOKIE)
      const data = bench.connect()
      data.onDataFollows = () => Promise.reject(new Error('the table is full'))
      data.say(COOKIE)
      assert.deepEqual(await control.heard(1), [State.serverError])
    })
    assert.equal(summary.kind, 'failed')
    assert.match(inspect(summary), /a stream cannot begin: the table is full/)
  })

  it('takes no message of a client from device memory', async () => {
    const peer = new Peer()
    let released = 0
    peer.receive = async () => ({ length: 1, release: () => void released++ })
    const reader = new ControlChannel(peer)
    await assert.rejects(reader.read(1), /came in device memory/)
    assert.equal(reader.takeRest(), 1)
    assert.equal(released, 1)
  })

  it('ends a test whose client never does', async () => {
    const options = { timeouts: { idleMs: 5_000, graceMs: 30 } }
    const summary = await outcome(async (bench) => {
      const { control } = await bench.running({ time: 1 })
      assert.deepEqual(await control.heard(1), [State.serverTerminate])
    }, options)
    assert.equal(summary.kind, 'terminated')
  })

  it('tells the client when it is stopped', async () => {
    const abort = new AbortController()
    const summary = await outcome(
      async (bench) => {
        const { control, data } = await bench.running()
        data.say('abc')
        await turns()
        abort.abort()
        assert.deepEqual(await control.heard(1), [State.serverTerminate])
      },
      { signal: abort.signal, timeouts: { idleMs: 5_000 } },
    )
    assert.deepEqual([summary.kind, summary.bytes], ['terminated', 3])
  })

  it('closes everything when its consumer breaks off', async () => {
    const control = new Peer()
    const stranger = new Peer()
    async function* arrivals(): AsyncGenerator<Peer> {
      yield control
      yield stranger
      await new Promise(() => undefined)
    }
    control.say(COOKIE, 'fin')
    for await (const { kind } of serveIperf3(arrivals())) {
      assert.equal(kind, 'failed')
      break
    }
    assert.deepEqual([control.closed, stranger.closed, Peer.held], [true, true, 0])
  })

  it('passes on the failure of its listener', async () => {
    // A listener that fails before a client comes.
    const arrivals: AsyncIterable<Peer> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('EMFILE')) }),
    }
    await assert.rejects(serveIperf3(arrivals).next(), /EMFILE/)
  })
})
