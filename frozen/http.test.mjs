// getInto: bodies into memory, files and pools, from servers of Node.js.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { ConnectionCache, getInto } from 'netmem/http'
import { freshPath, pattern, rejected, same, withPool, withServer } from './harness.mjs'

const BYTES = 3_000_017
const body = pattern(BYTES, 7)
const sha256 = createHash('sha256').update(body).digest('hex')

/** Compresses quickly: the default takes seconds for each body. */
function brotli(bytes) {
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })
}

/** Answers as a good server does: ranges, validators, If-Range. */
function ranged(request, response) {
  const headers = { etag: '"1"', 'accept-ranges': 'bytes' }
  const ifRange = request.headers['if-range']
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  if (match === null || (ifRange !== undefined && ifRange !== '"1"')) {
    response.writeHead(200, { ...headers, 'content-length': BYTES }).end(body)
    return
  }
  const first = Number(match[1])
  const last = Math.min(match[2] === '' ? Infinity : Number(match[2]), BYTES - 1)
  if (first > last) {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${BYTES}` }).end()
    return
  }
  const range = { 'content-range': `bytes ${first}-${last}/${BYTES}` }
  response.writeHead(206, { ...headers, ...range, 'content-length': last - first + 1 })
  response.end(body.subarray(first, last + 1))
}

const answers = {
  '/ranged': ranged,
  '/length': (_request, response) => response.setHeader('content-length', BYTES).end(body),
  '/chunked': (_request, response) => {
    for (let at = 0; at < BYTES; at += 500_000) response.write(body.subarray(at, at + 500_000))
    response.end()
  },
  '/small': (_request, response) => response.end(body.subarray(0, 100)),
  '/empty': (_request, response) => response.writeHead(204).end(),
  '/moved': (_request, response) => response.writeHead(302, { location: '/ranged' }).end(),
  '/circle': (_request, response) => response.writeHead(302, { location: '/circle' }).end(),
  '/absent': (_request, response) => response.writeHead(404).end('no such thing'),
  '/gzip': (_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body)),
  '/br': (_request, response) =>
    response.writeHead(200, { 'content-encoding': 'br' }).end(brotli(body)),
  '/echo': (request, response) => response.end(JSON.stringify(request.headers)),
}

/** Runs `get` against the answers, with quick retries and a cache that ends with the test. */
function withAnswers(get, more = {}) {
  const all = { ...answers, ...more }
  return withServer(
    (request, response) => all[request.url](request, response),
    async (url) => {
      const keepAlive = new ConnectionCache()
      try {
        return await get((path, destination, options) =>
          getInto(url + path, destination, {
            keepAlive,
            retryDelayMs: 1,
            proxy: false,
            ...options,
          }),
        )
      } finally {
        keepAlive.close()
      }
    },
  )
}

for (const path of ['/ranged', '/length', '/chunked', '/moved']) {
  test(`${path} into memory`, () =>
    withAnswers(async (get) => {
      const memory = new Uint8Array(BYTES + 10)
      const result = await get(path, memory)
      same(memory.subarray(0, BYTES), body)
      assert.deepEqual([result.bytes, result.endKnown, result.retries], [BYTES, true, 0])
      assert.equal(result.head.status, 200)
      assert.equal(result.sha256, undefined)
      assert.ok(result.url.endsWith(path === '/moved' ? '/ranged' : path))
      assert.ok(result.timing.lastByteMs >= result.timing.firstByteMs)
    }))

  test(`${path} into memory that is made for it, verified`, () =>
    withAnswers(async (get) => {
      let memory
      const make = (head, length = BYTES) => {
        assert.equal(head.status, 200)
        memory = new SharedArrayBuffer(length)
        return memory
      }
      const result = await get(path, make, { sha256 })
      assert.equal(result.sha256, sha256)
      same(memory, body)
    }))

  test(`${path} into a file`, () =>
    withAnswers(async (get) => {
      const folder = freshPath()
      mkdirSync(folder)
      const file = join(folder, 'file')
      const { bytes } = await get(path, { path: file }, { sha256: true })
      assert.equal(bytes, BYTES)
      same(readFileSync(file), body)
      assert.deepEqual(readdirSync(folder), ['file'])
    }))

  test(`${path} through a pool`, () =>
    withPool((pool) =>
      withAnswers(async (get) => {
        const memory = Buffer.alloc(BYTES)
        const onFrag = async (frag, position) => {
          memory.set(frag.bytes, position)
          await null
          frag.release()
        }
        const result = await get(path, { pool, onFrag }, { sha256: true })
        assert.deepEqual([result.bytes, result.sha256], [BYTES, sha256])
        same(memory, body)
      }),
    ))
}

test('small and empty bodies, over one connection', () =>
  withAnswers(async (get) => {
    const memory = new Uint8Array(100)
    for (let round = 0; round < 5; round++) {
      assert.equal((await get('/small', memory.fill(0))).bytes, 100)
      same(memory, body.subarray(0, 100))
      const { bytes, timing } = await get('/empty', memory)
      assert.deepEqual([bytes, timing.connectMs], [0, 0])
    }
  }))

test('ranges over several connections', () =>
  withAnswers(async (get) => {
    const memory = new Uint8Array(BYTES)
    const result = await get('/ranged', memory, { connections: 3, sha256 })
    assert.ok(result.connections > 1)
    same(memory, body)
    const path = freshPath()
    assert.equal((await get('/ranged', { path }, { connections: 3, sha256 })).bytes, BYTES)
    same(readFileSync(path), body)
    await get('/length', memory.fill(0), { connections: 3 })
    same(memory, body)
  }))

/** Breaks each body off after a part of it, `times` times. */
function breaking(times, handler) {
  let left = times
  return (request, response) => {
    if (left-- <= 0) return handler(request, response)
    response.end = (bytes) => {
      response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy())
    }
    return handler(request, response)
  }
}

test('a transfer that breaks goes on from its last byte', () =>
  withAnswers(
    async (get) => {
      const memory = new Uint8Array(BYTES)
      const result = await get('/breaking', memory, { sha256 })
      assert.deepEqual([result.bytes, result.retries, result.head.status], [BYTES, 2, 206])
      same(memory, body)
    },
    { '/breaking': breaking(2, ranged) },
  ))

test('a transfer that keeps breaking fails', () =>
  withAnswers(
    async (get) => {
      const memory = new Uint8Array(BYTES)
      assert.equal(await rejected(get('/breaking', memory, { retries: 1 })), 'NETMEM_ENDED_EARLY')
    },
    { '/breaking': breaking(9, ranged) },
  ))

test('a file is resumed by a later call', () =>
  withAnswers(
    async (get) => {
      const path = freshPath()
      const once = get('/breaking', { path, resume: true }, { retries: 0 })
      assert.equal(await rejected(once), 'NETMEM_ENDED_EARLY')
      let from = -1
      const onHead = (_head, _length, at) => {
        from = at
      }
      const result = await get('/breaking', { path, resume: true }, { sha256, onHead })
      assert.equal(result.bytes, BYTES)
      assert.ok(from > 0, `resumed from ${from}`)
      same(readFileSync(path), body)
    },
    { '/breaking': breaking(1, ranged) },
  ))

test('a file that fails leaves nothing', () =>
  withAnswers(
    async (get) => {
      const folder = freshPath()
      mkdirSync(folder)
      const failing = get('/breaking', { path: join(folder, 'file') }, { retries: 0 })
      assert.equal(await rejected(failing), 'NETMEM_ENDED_EARLY')
      assert.deepEqual(readdirSync(folder), [])
    },
    { '/breaking': breaking(1, ranged) },
  ))

for (const coding of ['gzip', 'br']) {
  test(`a body in ${coding}: decoded, raw, or refused`, () =>
    withAnswers(async (get) => {
      const memory = new Uint8Array(BYTES)
      await get(`/${coding}`, memory, { decompress: true, sha256 })
      same(memory, body)
      const coded = coding === 'gzip' ? gzipSync(body) : brotli(body)
      const { bytes } = await get(`/${coding}`, new Uint8Array(BYTES + 5000), { raw: true })
      assert.equal(bytes, coded.length)
      assert.equal(await rejected(get(`/${coding}`, memory)), 'NETMEM_HTTP_CONTENT_CODING')
    }))
}

test('credentials stay with their origin', () =>
  withServer(answers['/echo'], (other) => {
    let location = '/echo'
    const away = (_request, response) => response.writeHead(307, { location }).end()
    return withAnswers(
      async (get) => {
        const options = {
          headers: { 'x-key': 'k', 'x-open': 'o' },
          authorization: { bearer: 'secret' },
          crossOriginHeaders: ['x-open'],
        }
        const sent = async () => {
          const memory = Buffer.alloc(4096)
          const { bytes } = await get('/away', memory, options)
          const fields = JSON.parse(memory.toString('utf8', 0, bytes))
          return [fields['x-key'], fields['x-open'], fields.authorization]
        }
        assert.deepEqual(await sent(), ['k', 'o', 'Bearer secret'])
        location = `${other}/`
        assert.deepEqual(await sent(), [undefined, 'o', undefined])
      },
      { '/away': away },
    )
  }))

const failures = [
  ['/absent', {}, 'NETMEM_HTTP_STATUS'],
  ['/circle', {}, 'NETMEM_HTTP_REDIRECTS'],
  ['/moved', { maxRedirects: 0 }, 'NETMEM_HTTP_REDIRECTS'],
  ['/length', { sha256: '0'.repeat(64) }, 'NETMEM_DIGEST_MISMATCH'],
  ['/length', { signal: AbortSignal.abort() }, 'NETMEM_ABORTED'],
  ['/length', { connections: 0 }, 'NETMEM_OUT_OF_RANGE'],
  ['/length', { sha256: 'abc' }, 'NETMEM_INVALID_ARGUMENT'],
  ['/length', { conections: 2 }, 'NETMEM_INVALID_ARGUMENT'],
  ['/length', { decompress: true, raw: true }, 'NETMEM_INVALID_ARGUMENT'],
]
for (const [path, options, code] of failures) {
  test(`${code}: ${path} ${JSON.stringify(options)}`, () =>
    withAnswers(async (get) => {
      const call = async () => get(path, new Uint8Array(BYTES), options)
      assert.equal(await rejected(call), code)
    }))
}

test('memory that is too small, or moves away', () =>
  withAnswers(async (get) => {
    for (const path of ['/length', '/chunked']) {
      const small = get(path, new Uint8Array(BYTES - 1))
      assert.equal(await rejected(small), 'NETMEM_DESTINATION_TOO_SMALL')
    }
    const memory = new Uint8Array(BYTES)
    const onProgress = (bytes) => {
      if (bytes > 1_000_000 && memory.byteLength > 0)
        structuredClone(memory.buffer, { transfer: [memory.buffer] })
    }
    const moved = get('/length', memory, { onProgress })
    assert.equal(await rejected(moved), 'NETMEM_DESTINATION_DETACHED')
  }))

test('wrong destinations and URLs', () =>
  withAnswers(async (get) => {
    for (const destination of [undefined, 1, {}, { path: 1 }]) {
      const call = async () => get('/length', destination)
      assert.equal(await rejected(call), 'NETMEM_INVALID_ARGUMENT', String(destination))
    }
    for (const url of ['ftp://127.0.0.1/', 'no url']) {
      const call = async () => getInto(url, new Uint8Array(1))
      assert.equal(await rejected(call), 'NETMEM_INVALID_ARGUMENT', url)
    }
  }))

test('events tell of each request and response', () =>
  withAnswers(async (get) => {
    const kinds = []
    const onEvent = ({ kind }) => kinds.push(kind)
    let progress = 0
    const onProgress = (bytes) => {
      assert.ok(bytes >= progress)
      progress = bytes
    }
    await get('/moved', new Uint8Array(BYTES), { onEvent, onProgress })
    assert.deepEqual(kinds, ['request', 'response', 'request', 'response'])
    assert.equal(progress, BYTES)
  }))
