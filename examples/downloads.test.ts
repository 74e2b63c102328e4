/** Runs the examples that download as programs, from an origin on this machine. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { ended, PAYLOAD, sha256, withDirectory } from './programs.test.helper.ts'

/** An origin with ranges, which breaks the first response of a path that says so. */
async function withOrigin(
  bodies: ReadonlyMap<string, Buffer>,
  use: (url: string, ranges: string[]) => Promise<void>,
): Promise<void> {
  const ranges: string[] = []
  const broken = new Set<string>()
  const server = http.createServer((request, response) => {
    const { url = '/', headers } = request
    const body = bodies.get(url)
    if (body === undefined) {
      response.writeHead(404).end()
      return
    }
    const asked = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '')
    if (asked !== null) ranges.push(`${url} ${asked[0]}`)
    const first = Number(asked?.[1] ?? 0)
    const last = Math.min(asked?.[2] ? Number(asked[2]) : Infinity, body.length - 1)
    response.writeHead(asked === null ? 200 : 206, {
      etag: '"1"',
      'content-length': last - first + 1,
      ...(asked === null ? {} : { 'content-range': `bytes ${first}-${last}/${body.length}` }),
    })
    if (!url.startsWith('/breaks') || broken.has(url)) {
      response.end(body.subarray(first, last + 1))
      return
    }
    broken.add(url)
    response.write(body.subarray(0, body.length >> 1), () => request.socket.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    await use(`http://127.0.0.1:${address.port}`, ranges)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('model-downloader.ts fills memory that its worker reads', async () => {
  const weights = Float32Array.from({ length: 1_000_000 }, (_, at) => (at * 7919) % 1_000_003)
  weights[77_777] = -0.5
  weights[999_999] = 2_000_000
  const body = Buffer.from(weights.buffer)
  await withOrigin(new Map([['/model', body]]), async (url, ranges) => {
    const good = await ended('model-downloader.js', `${url}/model`, sha256(body))
    assert.equal(good.errors, '')
    assert.equal(good.code, 0)
    assert.deepEqual(good.lines.slice(-3, -2), ['100 %'])
    assert.match(good.lines.at(-2) ?? '', /^4000000 bytes in \d+ ms$/)
    assert.equal(good.lines.at(-1), 'weights of -0.5 to 2000000')
    assert.equal(ranges.length, 4)

    const wrong = await ended('model-downloader.js', `${url}/model`, sha256(PAYLOAD))
    assert.equal(wrong.code, 1)
    assert.match(wrong.errors, /NETMEM_DIGEST_MISMATCH/)
    assert.ok(!wrong.lines.some((line) => line.startsWith('weights')))
  })
})

test('mirror.ts writes what it can get, and says what it cannot', async () => {
  const bodies = new Map<string, Buffer>([
    ['/', PAYLOAD.subarray(0, 1000)],
    ['/breaks/here', PAYLOAD],
    ['/empty', PAYLOAD.subarray(0, 0)],
    ['/a/file?of=../../two', PAYLOAD.subarray(1)],
    ['/a/file?of=one', PAYLOAD.subarray(2)],
  ])
  await withDirectory(async (directory) => {
    await withOrigin(bodies, async (url, ranges) => {
      const paths = ['/missing', ...bodies.keys()]
      const { code, lines, errors } = await ended(
        'mirror.js',
        directory,
        ...paths.map((path) => url + path),
      )
      assert.equal(code, 1)
      assert.match(errors, /^http:\S+\/missing: .* answered 404 Not Found\. .*\n$/)
      const folder = join(directory, new URL(url).host)
      const names = new Map([
        ['/', 'index.html'],
        ['/breaks/here', 'breaks/here'],
        ['/empty', 'empty'],
        ['/a/file?of=../../two', 'a/file%3Fof%3D..%2F..%2Ftwo'],
        ['/a/file?of=one', 'a/file%3Fof%3Done'],
      ])
      const expected: string[] = []
      for (const [path, body] of bodies) {
        const file = join(folder, names.get(path) ?? '')
        expected.push(`${sha256(body)}  ${file}`)
        assert.equal(Buffer.compare(await readFile(file), body), 0, path)
      }
      assert.deepEqual(lines.sort(), expected.sort())
      assert.equal(ranges.length, 1, 'the broken transfer resumed')
      assert.match(ranges[0] ?? '', /^\/breaks\/here bytes=[1-9]\d*-$/)
    })
  })
})

/** A file as the format has it: the header may be padded, and need not be. */
function safetensors(header: object, padding: number, data: Uint8Array): Buffer {
  const text = Buffer.from(JSON.stringify(header) + ' '.repeat(padding))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, data])
}

test('safetensors.ts sees tensors where they arrived', async () => {
  const data = Buffer.alloc(8 * 2 + 4 * 6 + 2)
  new BigInt64Array(data.buffer, data.byteOffset, 2).set([-1n, 2n ** 60n])
  new Float32Array(data.buffer, data.byteOffset + 16, 6).set([0.5, 1.5, -2, 4, 5, 6])
  data.set([7, 8], 40)
  const header = {
    __metadata__: { format: 'pt' },
    ids: { dtype: 'I64', shape: [2], data_offsets: [0, 16] },
    weights: { dtype: 'F32', shape: [2, 3], data_offsets: [16, 40] },
    flags: { dtype: 'U8', shape: [2], data_offsets: [40, 42] },
    none: { dtype: 'F32', shape: [0, 3], data_offsets: [40, 40] },
  }
  const beyond = { dtype: 'U8', shape: [3], data_offsets: [40, 43] }
  const bodies = new Map([['/beyond', safetensors({ ...header, flags: beyond }, 0, data)]])
  for (let padding = 0; padding < 8; padding += 3) {
    bodies.set(`/${padding}`, safetensors(header, padding, data))
  }
  await withOrigin(bodies, async (url) => {
    for (let padding = 0; padding < 8; padding += 3) {
      const { code, lines, errors } = await ended('safetensors.js', `${url}/${padding}`)
      assert.equal(errors, '')
      assert.equal(code, 0)
      const at = Number(/ at (\d+):/.exec(lines[0] ?? '')?.[1])
      assert.equal(at % 8, 0)
      assert.deepEqual(lines, [
        `ids I64 [2] at ${at}: -1,1152921504606846976`,
        `weights F32 [2,3] at ${at + 16}: 0.5,1.5,-2,4`,
        `flags U8 [2] at ${at + 40}: 7,8`,
        `none F32 [0,3] at ${at + 40}: `,
      ])
    }
    const { code, errors } = await ended('safetensors.js', `${url}/beyond`)
    assert.equal(code, 1)
    assert.match(errors, /flags is not where the header says/)
  })
})
