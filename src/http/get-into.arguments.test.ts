import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { getInto } from './get-into.ts'
import { codeOf, serveRaw, transferring } from './http.test.helper.ts'

describe('arguments of getInto', () => {
  it('sends what it was told, and nothing that could be taken for more', () =>
    transferring(async (options) => {
      let request = ''
      await using server = await serveRaw((socket, text) => {
        request = text
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      })
      const memory = new Uint8Array(0)
      const headers = { 'X-A': 'b c', Accept: 'text/plain' }
      const authorization = { username: 'me', password: 'a:b ö' }
      await getInto(`${server.url}a b?c=d#e`, memory, { ...options, headers, authorization })
      assert.match(request, /^GET \/a%20b\?c=d HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/)
      assert.match(request, /^X-A: b c\r$/m)
      assert.match(request, /^Accept: text\/plain\r$/m)
      assert.match(request, /^Accept-Encoding: identity\r$/m)
      const basic = Buffer.from('me:a:b ö').toString('base64')
      assert.ok(request.includes(`Authorization: Basic ${basic}\r\n`))
      await getInto(server.url, memory, { ...options, authorization: { bearer: 'tok-en==' } })
      assert.match(request, /^Authorization: Bearer tok-en==\r$/m)
      await getInto(server.url.replace('//', '//u%40:p@'), memory, options)
      assert.ok(request.includes(`Authorization: Basic ${Buffer.from('u@:p').toString('base64')}`))
    }))

  it('refuses arguments that make no sense', async () => {
    const memory = new Uint8Array(1)
    const url = 'http://127.0.0.1:1/'
    const wrong: [string | URL, unknown, unknown][] = [
      ['/relative', memory, {}],
      ['ftp://127.0.0.1/', memory, {}],
      [url, 'memory', {}],
      [url, { path: 7 }, {}],
      [url, { pool: {}, onFrag: () => {} }, {}],
      [url, memory, { headers: { 'X-A': 'b\r\nX-B: c' } }],
      [url, memory, { headers: { 'X A': 'b' } }],
      [url, memory, { headers: { 'X-A': 'ö' } }],
      [url, memory, { headers: { Range: 'bytes=0-1' } }],
      [url, memory, { authorization: { bearer: 'a\nb' } }],
      [url, memory, { authorization: { username: 'a:b', password: '' } }],
      [url, memory, { sha256: 'abc' }],
      [url, memory, { onChange: 'perhaps' }],
      [url, { path: '' }, {}],
      [url, { path: 'a\0b' }, {}],
      [url, memory, { headers: new Headers({ 'X-A': 'b' }) }],
      [url, memory, { headers: new Map([['X-A', 'b']]) }],
      [url, memory, { headers: [['X-A', 'b']] }],
      [url, memory, { headers: null }],
      [url, memory, { authorization: 'Bearer b' }],
      [url, memory, { authorization: null }],
      [url, memory, { signal: new AbortController() }],
      [url, memory, { keepAlive: 'always' }],
      [url, memory, { keepAlive: null }],
      [url, memory, { onHead: 1 }],
      [url, memory, { onProgress: {} }],
      [url, memory, null],
      [url, memory, 5],
      [url, memory, { wakeBatching: 5 }],
    ]
    for (const [where, destination, options] of wrong) {
      const call: unknown = Reflect.apply(getInto, undefined, [where, destination, options])
      assert.ok(call instanceof Promise)
      assert.equal(await codeOf(call), 'NETMEM_INVALID_ARGUMENT')
    }
    for (const options of [{ retries: -1 }, { connections: 0 }, { maxHeadBytes: 2 ** 21 }]) {
      assert.equal(await codeOf(getInto(url, memory, options)), 'NETMEM_OUT_OF_RANGE')
    }
  })

  it('takes no word for true or false, and says where resume belongs', async () => {
    for (const name of ['allowDowngrade', 'touchAhead', 'decompress', 'raw', 'proxy']) {
      const options: object = { [name]: 'no' }
      assert.equal(
        await codeOf(getInto('http://127.0.0.1:1/', new Uint8Array(1), options)),
        'NETMEM_INVALID_ARGUMENT',
      )
    }
    const misplaced: object = { resume: true }
    await assert.rejects(getInto('http://127.0.0.1:1/', new Uint8Array(1), misplaced), {
      code: 'NETMEM_INVALID_ARGUMENT',
      message: 'resume belongs to the destination: { path, resume: true }.',
    })
  })
})
