import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { formatEndpoint, parseEndpoint } from './endpoint.ts'

describe('HOST:PORT', () => {
  it('is read and written', () => {
    const endpoints = {
      '127.0.0.1:5201': { host: '127.0.0.1', port: 5201 },
      'localhost:1': { host: 'localhost', port: 1 },
      '[::1]:65535': { host: '::1', port: 65_535 },
      '[fe80::1%eth0]:80': { host: 'fe80::1%eth0', port: 80 },
    }
    for (const [text, endpoint] of Object.entries(endpoints)) {
      assert.deepEqual(parseEndpoint(text), endpoint)
      assert.equal(formatEndpoint(endpoint), text)
    }
  })

  it('is refused where it is something else', () => {
    for (const text of ['', 'host', ':5201', 'host:', 'host:0', 'host:65536', 'host:x', '[]:1']) {
      assert.throws(() => parseEndpoint(text), { code: 'USAGE' }, text)
    }
    assert.throws(() => parseEndpoint('::1:5201'), /IPv6 in brackets/)
  })
})
