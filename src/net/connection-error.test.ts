import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { createPool } from '../pool/create-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { setUpError } from './connection-error.ts'
import { connect } from './index.ts'

test('what TLS says is told in words, and what is no TLS is named', async () => {
  const pool = createPool(hostProvider({ pages: 1 }))
  const server = net.createServer((socket) => {
    socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  await assert.rejects(connect({ pool, host: '127.0.0.1', port: address.port, tls: {} }), {
    code: 'NETMEM_TLS',
    message: /failed: wrong version number\. What answers there does not seem to speak TLS; /,
  })
  server.close()
  await pool.destroy()
})

test('what OpenSSL finds wrong with a certificate is about TLS, whatever its code', () => {
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
