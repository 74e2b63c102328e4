import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setUpError } from './connection-error.ts'

test('each code of OpenSSL for a bad certificate becomes NETMEM_TLS', () => {
  for (const code of [
    'CERT_HAS_EXPIRED',
    'CRL_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'ERROR_IN_CERT_NOT_AFTER_FIELD',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'HOSTNAME_MISMATCH',
    'INVALID_CA',
    'INVALID_PURPOSE',
    'PATH_LENGTH_EXCEEDED',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ]) {
    const cause = Object.assign(new Error('wrong'), { code })
    const error = setUpError('NETMEM_CONNECT_FAILED', 'there', cause)
    assert.equal(Reflect.get(error, 'code'), 'NETMEM_TLS', code)
    assert.match(error.message, /^TLS with there failed: wrong\. Check certificates/)
  }
})
