import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { getInto } from '../get-into.ts'
import { codeOf, serve, transferring } from '../http.test.helper.ts'
import type { GetEvent } from './events.ts'

const memory = new Uint8Array(8)

/** Returns an event in one line. */
function line(event: GetEvent): string {
  if (event.kind === 'request') return `request ${event.url.pathname}`
  if (event.kind === 'response') return `response ${event.url.pathname} ${event.head.status}`
  return `retry ${event.attempt}`
}

describe('onEvent', () => {
  it('is told of requests, heads and attempts, in their order', () =>
    transferring(async (options) => {
      let busy = true
      await using server = await serve((request, response) => {
        if (request.url === '/') response.writeHead(302, { location: '/there' }).end()
        else if (busy) response.writeHead(503).end()
        else response.end('body')
        busy = request.url === '/' && busy
      })
      const events: GetEvent[] = []
      const authorization = { bearer: 'secret' }
      const onEvent = (event: GetEvent): void => void events.push(event)
      await getInto(server.url, memory, { ...options, authorization, retryDelayMs: 1, onEvent })
      const attempt = ['request /', 'response / 302', 'request /there']
      assert.deepEqual(events.map(line), [
        ...attempt,
        'response /there 503',
        'retry 2',
        ...attempt,
        'response /there 200',
      ])
      const [request, response] = events
      assert.ok(request?.kind === 'request' && response?.kind === 'response')
      assert.ok(request.fields.some(([name]) => name === 'Authorization'))
      assert.ok(response.connectMs > 0)
    }))

  it('must be a function', async () => {
    const wrong = { onEvent: 'log' } as unknown as { onEvent: (event: GetEvent) => void }
    assert.equal(
      await codeOf(getInto('http://127.0.0.1:1/', memory, wrong)),
      'NETMEM_INVALID_ARGUMENT',
    )
  })
})
