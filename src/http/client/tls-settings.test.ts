import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type tls from 'node:tls'
import { assertCode } from '../../testing/pools.test.helper.ts'
import { tlsElsewhere, tlsSettings } from './tls-settings.ts'

const identityOf = (options: tls.ConnectionOptions): string => tlsSettings(options).identity

describe('TLS options', () => {
  it('are the same for a connection where their values are', () => {
    const check = (): undefined => undefined
    const pairs: [tls.ConnectionOptions, tls.ConnectionOptions][] = [
      [{}, {}],
      [
        { ca: 'a', servername: 'b' },
        { servername: 'b', ca: 'a' },
      ],
      [{ ca: Buffer.from('a') }, { ca: Buffer.from('a') }],
      [{ pfx: [{ buf: 'a', passphrase: 'b' }] }, { pfx: [{ passphrase: 'b', buf: 'a' }] }],
      [{ checkServerIdentity: check }, { checkServerIdentity: check }],
    ]
    for (const [one, other] of pairs) {
      assert.equal(identityOf(one), identityOf(other))
    }
  })

  it('are others where one value is', () => {
    const all = [
      {},
      { ca: 'a' },
      { ca: Buffer.from('a') },
      { ca: ['a'] },
      { cert: 'a' },
      { rejectUnauthorized: false },
      { rejectUnauthorized: true },
      { checkServerIdentity: (): undefined => undefined },
      { checkServerIdentity: (): undefined => undefined },
      { ca: 'a\nservername="b"' },
      { ca: 'a', servername: 'b' },
    ].map(identityOf)
    assert.equal(new Set(all).size, all.length)
  })

  it('are read once, and do not share what is changed later', () => {
    const options: tls.ConnectionOptions = { rejectUnauthorized: true }
    const settings = tlsSettings(options)
    options.rejectUnauthorized = false
    assert.equal(settings.options.rejectUnauthorized, true)
    assert.notEqual(identityOf(options), settings.identity)
  })

  it('go to other origins without what says who one is', () => {
    const elsewhere = tlsElsewhere(tlsSettings({ ca: 'a', cert: 'b', key: 'c', servername: 'd' }))
    assert.deepEqual(elsewhere.options, { ca: 'a' })
    assert.equal(elsewhere.identity, identityOf({ ca: 'a' }))
  })

  it('are an object', () => {
    for (const odd of [true, 'x', null] as unknown[]) {
      assertCode('NETMEM_INVALID_ARGUMENT', () => tlsSettings(odd as tls.ConnectionOptions))
    }
  })
})
