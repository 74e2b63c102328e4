import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  brotliCompressSync,
  constants,
  deflateRawSync,
  deflateSync,
  gunzipSync,
  gzipSync,
} from 'node:zlib'
import { getInto } from '../get-into.ts'
import {
  begins,
  codeOf,
  failure,
  freshFolder,
  content as large,
  ranged,
  serve,
  serveRaw,
  sha256,
  transferring,
  withPool,
} from '../http.test.helper.ts'

/** More than some pages, and quickly coded. */
const content = large.subarray(0, 400_017)
const PLAIN = Buffer.from('hello world')
const quick = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }
const brotli = (bytes: Buffer): Buffer => brotliCompressSync(bytes, quick)

/** Coded bodies by title: the field's value, and a coder. */
const coders: readonly (readonly [string, string, (bytes: Buffer) => Buffer])[] = [
  ['gzip', 'gzip', gzipSync],
  ['gzip by its old name', 'X-GZip', gzipSync],
  [
    'gzip in two members',
    'gzip',
    (b) => Buffer.concat([gzipSync(b.subarray(0, 5)), gzipSync(b.subarray(5))]),
  ],
  ['br', 'br', brotli],
  ['deflate', 'deflate', deflateSync],
  ['deflate without its wrapper', 'deflate', (bytes) => deflateRawSync(bytes)],
  ['identity', 'identity', (bytes) => bytes],
  ['identity, gzip', 'identity, gzip', gzipSync],
  ['two codings', 'gzip, br', (bytes) => brotli(gzipSync(bytes))],
  ['three codings', 'deflate , BR,gzip', (bytes) => gzipSync(brotli(deflateSync(bytes)))],
]

/** Values that name no coding. */
const names = [
  '',
  'none',
  'Identity',
  'binary',
  'aws-chunked',
  'UTF-8',
  'utf8',
  'iso-8859-1',
  'charset=utf-8',
]

describe('a coded body', () => {
  for (const [name, field, code] of coders) {
    it(`is decoded from ${name}, into each destination`, () =>
      transferring(async (options) => {
        const coded = code(content)
        await using server = await serve((request, response) => {
          assert.equal(request.headers['accept-encoding'], 'gzip, deflate, br')
          response.writeHead(200, { 'content-encoding': field, 'content-length': coded.length })
          response.end(coded)
        })
        const wish = { ...options, decompress: true, sha256: sha256(content) }
        const memory = new Uint8Array(content.length)
        const { head } = await getInto(server.url, memory, wish)
        if (coded !== content) assert.equal(head.headers.get('content-length'), undefined)
        begins(memory, content)
        const { at } = freshFolder()
        await getInto(server.url, { path: at('f') }, wish)
        begins(readFileSync(at('f')), content)
        assert.equal(server.connections(), 2, 'memory and files have each their own')
        await withPool(async (pool) => {
          const onFrag = (frag: Disposable): void => frag[Symbol.dispose]()
          const { bytes } = await getInto(
            server.url,
            { pool, onFrag },
            { ...wish, keepAlive: false },
          )
          assert.equal(bytes, content.length)
        }, 2)
      }))

    it(`is decoded from ${name} where it comes a byte at a time`, () =>
      transferring(async (options) => {
        const coded = code(PLAIN)
        await using server = await serveRaw(async (socket) => {
          socket.setNoDelay()
          socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: ${field}\r\n`)
          socket.write('Transfer-Encoding: chunked\r\n\r\n')
          for (const byte of coded) {
            const chunk = [Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')]
            await new Promise((resolve) => socket.write(Buffer.concat(chunk), resolve))
          }
          socket.write('0\r\n\r\n')
        })
        const memory = new Uint8Array(99)
        const { bytes } = await getInto(server.url, memory, { ...options, decompress: true })
        assert.equal(bytes, PLAIN.length)
        begins(memory, PLAIN)
      }))

    it(`is empty where it says ${name} and has no bytes`, () =>
      transferring(async (options) => {
        for (const framing of [
          'Content-Length: 0\r\n\r\n',
          'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        ]) {
          await using server = await serveRaw((socket) => {
            socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: ${field}\r\n${framing}`)
          })
          const wish = { ...options, decompress: true }
          assert.equal((await getInto(server.url, new Uint8Array(9), wish)).bytes, 0)
        }
      }))
  }

  for (const name of names) {
    it(`arrives as it is where the coding is said to be ${JSON.stringify(name)}`, () =>
      transferring(async (options) => {
        await using server = await serve((_, response) => {
          response.writeHead(200, { 'content-encoding': name }).end(PLAIN)
        })
        for (const wish of [{}, { decompress: true }, { raw: true }]) {
          const memory = new Uint8Array(99)
          const { bytes } = await getInto(server.url, memory, { ...options, ...wish })
          assert.equal(bytes, PLAIN.length)
          begins(memory, PLAIN)
        }
      }))
  }

  it('comes as it is with raw, in any coding, and is resumed by its ETag alone', () =>
    transferring(async (options) => {
      const coded = gzipSync(content)
      for (const [coding, etag] of [
        ['gzip', '"1"'],
        ['zstd', '"1"'],
        ['gzip', ''],
      ] as const) {
        const asked: (string | undefined)[] = []
        await using server = await serve((request, response) => {
          asked.push(request.headers.range)
          response.setHeader('content-encoding', coding)
          // All codings of a body have the same date.
          response.setHeader('last-modified', new Date(0).toUTCString())
          if (asked.length > 1) {
            if (etag === '') response.end(coded)
            else ranged(request, response, coded, etag)
            return
          }
          response.writeHead(200, { 'content-length': coded.length, ...(etag && { etag }) })
          response.write(coded.subarray(0, 200_000), () => response.destroy())
        })
        const memory = new Uint8Array(coded.length)
        const wish = { ...options, raw: true, retries: 1 }
        // Bytes that were under way when the connection broke may have arrived or not.
        const { bytes } = await getInto(server.url, memory, wish)
        assert.equal(bytes, coded.length)
        begins(gunzipSync(memory), content)
        if (etag === '') assert.deepEqual(asked, [undefined, undefined])
      }
    }))

  it('is refused where nothing was said of codings, with what to do', () =>
    transferring(async (options) => {
      const cases = [
        ['gzip', {}, /set decompress: true to decode it, or raw: true/],
        ['zstd', {}, /cannot be decoded here: set raw: true/],
        [
          'gzip, zstd',
          { decompress: true },
          /"gzip, zstd", which cannot be decoded here: set raw: true/,
        ],
        ['gzip, gzip, gzip, gzip', { decompress: true }, /cannot be decoded here/],
        ['constructor', { decompress: true }, /cannot be decoded here/],
      ] as const
      for (const [coding, wish, said] of cases) {
        await using server = await serve((_, response) => {
          response.writeHead(200, { 'content-encoding': coding }).end('x')
        })
        const error = await failure(getInto(server.url, new Uint8Array(9), { ...options, ...wish }))
        assert.equal(error.code, 'NETMEM_HTTP_CONTENT_CODING')
        assert.match(error.message, said)
      }
      const both = { ...options, decompress: true, raw: true }
      const code = await codeOf(getInto('http://127.0.0.1/', new Uint8Array(9), both))
      assert.equal(code, 'NETMEM_INVALID_ARGUMENT')
    }))

  it('is not complete where its coding or its framing has not ended', () =>
    transferring(async (options) => {
      for (const [, field, code] of coders) {
        const coded = code(content)
        if (coded === content) continue
        for (const [cut, claimed, expected] of [
          [coded.length - 10, coded.length - 10, 'NETMEM_HTTP_PROTOCOL'],
          [coded.length - 10, coded.length, 'NETMEM_ENDED_EARLY'],
          [coded.length, coded.length + 10, 'NETMEM_ENDED_EARLY'],
        ] as const) {
          await using server = await serveRaw((socket) => {
            socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: ${field}\r\n`)
            socket.write(`Content-Length: ${claimed}\r\n\r\n`)
            socket.end(coded.subarray(0, cut))
          })
          const wish = { ...options, decompress: true, retries: 0 }
          const got = codeOf(getInto(server.url, new Uint8Array(content.length), wish))
          assert.equal(await got, expected, `${field}, ${cut} of ${claimed}`)
        }
      }
    }))

  it('is aborted while it waits for memory, or for more', () =>
    transferring(async (options) => {
      const coded = gzipSync(content)
      await using server = await serve((_, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(coded)
      })
      await withPool(async (pool) => {
        const held: Disposable[] = []
        const controller = new AbortController()
        const onFrag = (frag: Disposable): void => {
          held.push(frag)
          // The second page is the last one.
          if (pool.available === 0) setImmediate(() => controller.abort())
        }
        const wish = { ...options, decompress: true, signal: controller.signal }
        assert.equal(await codeOf(getInto(server.url, { pool, onFrag }, wish)), 'NETMEM_ABORTED')
        for (const frag of held) frag[Symbol.dispose]()
      }, 2)
      const controller = new AbortController()
      await using silent = await serveRaw((socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n')
        socket.write(coded.subarray(0, 9), () => controller.abort())
      })
      const wish = { ...options, decompress: true, signal: controller.signal }
      assert.equal(await codeOf(getInto(silent.url, new Uint8Array(9), wish)), 'NETMEM_ABORTED')
    }))

  it('is decoded where ranges were wanted and it came whole', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.url === '/plain') ranged(request, response, large)
        else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(large))
      })
      const wish = { ...options, decompress: true, connections: 3, sha256: sha256(large) }
      for (const [path, expected] of [
        ['', 1],
        ['plain', 3],
      ] as const) {
        const memory = new Uint8Array(large.length)
        const { connections } = await getInto(server.url + path, memory, wish)
        assert.equal(connections, expected)
        begins(memory, large)
      }
    }))
})
