/** Runs every example as a program, against plain Node.js clients. */

import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createPool, type Page, sharedProvider } from 'netmem'
import { createGenerator } from 'netmem/stack/link'
import { driverConformance } from 'netmem/stack/testing'
import { FrameLayout, parseFrame } from 'netmem/stack/wire'
import { providerConformance } from 'netmem/testing'
import { OwnDriver } from './own-driver.ts'
import { lazyProvider } from './own-provider.ts'

class Program {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(name: string, ...args: string[]) {
    const file = fileURLToPath(new URL(name, import.meta.url))
    this.#child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    assert.ok(this.#child.stdout)
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    assert.ok(!done, 'the program ended before its next line')
    return value
  }

  async port(): Promise<number> {
    const line = await this.line()
    const port = /^listening on port (\d+)$/.exec(line)?.[1]
    assert.ok(port, line)
    return Number(port)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill()
      await once(this.#child, 'exit')
    }
  }
}

async function withProgram(
  name: string,
  args: string[],
  use: (program: Program) => Promise<void>,
): Promise<void> {
  const program = new Program(name, ...args)
  try {
    await use(program)
  } finally {
    await program.stop()
  }
}

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'netmem-example-'))
  try {
    await use(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

const PAYLOAD = randomBytes(5_000_000)

test('length-prefixed.ts answers each message', async () => {
  await withProgram('length-prefixed.js', ['0'], async (program) => {
    const socket = net.connect(await program.port(), '127.0.0.1')
    const answers = createInterface(socket)[Symbol.asyncIterator]()
    for (const length of [0, 1, 70_000, PAYLOAD.length]) {
      const header = Buffer.alloc(4)
      header.writeUInt32BE(length)
      socket.write(header)
      socket.write(PAYLOAD.subarray(0, length))
      assert.equal((await answers.next()).value, `got ${length}`)
      assert.match(await program.line(), new RegExp(`: ${length} bytes$`))
    }
    socket.end()
  })
})

test('echo-server.ts survives resets, and a client that does not read', async () => {
  await withProgram('echo-server.js', ['0'], async (program) => {
    const port = await program.port()
    const stalled = net.connect(port, '127.0.0.1').on('error', () => {})
    stalled.write(PAYLOAD)
    for (let round = 0; round < 3; round++) {
      const reset = net.connect(port, '127.0.0.1')
      reset.write('x')
      await once(reset, 'data')
      reset.resetAndDestroy()
      assert.match(await program.line(), /^127\.0\.0\.1:\d+: .*ECONNRESET/)
      const socket = net.connect(port, '127.0.0.1').end(PAYLOAD)
      const parts: Buffer[] = []
      for await (const part of socket) parts.push(part as Buffer)
      assert.equal(Buffer.compare(Buffer.concat(parts), PAYLOAD), 0)
    }
    stalled.destroy()
  })
})

test('log-collector.ts writes a file for each client', async () => {
  await withDirectory(async (directory) => {
    await withProgram('log-collector.js', [directory, '0'], async (program) => {
      const port = await program.port()
      for (const [client, text] of ['one\n', 'two\nlines\n'].entries()) {
        net.connect(port, '127.0.0.1').end(text)
        const path = join(directory, `client-${client + 1}.log`)
        assert.equal(await program.line(), `${path}: ${text.length} bytes`)
        assert.equal(await readFile(path, 'utf8'), text)
      }
    })
  })
})

test('worker-pages.ts hashes in its worker', async () => {
  await withProgram('worker-pages.js', ['0'], async (program) => {
    const port = await program.port()
    for (let round = 0; round < 3; round++) {
      net.connect(port, '127.0.0.1').end(PAYLOAD)
      const digest = createHash('sha256').update(PAYLOAD).digest('hex')
      assert.equal(await program.line(), `sha256 ${digest}`)
    }
  })
})

test('file-receiver.ts writes what arrives', async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, 'received')
    await withProgram('file-receiver.js', [path, '0'], async (program) => {
      net.connect(await program.port(), '127.0.0.1').end(PAYLOAD)
      assert.equal(await program.line(), `${PAYLOAD.length} bytes in ${path}`)
    })
    assert.equal(Buffer.compare(await readFile(path), PAYLOAD), 0)
  })
})

test('http-upload.ts stores an upload', async () => {
  await withDirectory(async (directory) => {
    await withProgram('http-upload.js', [directory, '0'], async (program) => {
      const url = `http://127.0.0.1:${await program.port()}/stored`
      const response = await fetch(url, { method: 'PUT', body: PAYLOAD })
      assert.equal(await response.text(), `${PAYLOAD.length} bytes in stored\n`)
    })
    assert.equal(Buffer.compare(await readFile(join(directory, 'stored')), PAYLOAD), 0)
  })
})

test('http-upload.ts answers what it cannot store, and the next request too', async () => {
  await withDirectory(async (directory) => {
    await withProgram('http-upload.js', [join(directory, 'nowhere'), '0'], async (program) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      const options = { port: await program.port(), path: '/x', method: 'PUT', agent }
      for (const bytes of [100_000, 100]) {
        const request = http.request(options).end(new Uint8Array(bytes))
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        assert.equal(response.statusCode, 500)
        assert.equal(response.headers.connection, 'close')
        await once(response.resume(), 'end')
      }
      agent.destroy()
    })
  })
})

providerConformance('own-provider.ts', () => lazyProvider(64, 4096))

test('own-provider.ts says what it has', async () => {
  await withProgram('own-provider.js', [], async (program) => {
    assert.equal(await program.line(), 'one page of 65536 bytes, of 4096')
  })
})

driverConformance('own-driver.ts', async (nic, deliver) => {
  const pools = [0, 1].map(() => createPool(sharedProvider({ pages: 40, pageSize: 4096 })))
  const drivers: OwnDriver[] = []
  const closeAll = async (): Promise<void> => {
    for (const driver of drivers) await driver.close()
  }
  try {
    for (const [queue, pool] of pools.entries()) {
      drivers.push(await OwnDriver.open(nic, queue, pool, pool.share().buffer))
    }
  } catch (error) {
    await closeAll()
    assert.ok(pools.every((pool) => pool.out === 0))
    throw error
  }
  return {
    poll: () => {
      for (const [queue, driver] of drivers.entries()) {
        driver.poll((pieces: Uint8Array[], pages: Page[]) => {
          const free = (): void => {
            for (const page of pages) pools[queue]?.put(page)
          }
          deliver({ queue, frame: Buffer.concat(pieces), free })
        })
      }
    },
    close: closeAll,
    out: () => pools.reduce((sum, pool) => sum + pool.out, 0),
  }
})

const stackPage = readFileSync('docs/stack.md', 'utf8')

test('docs/stack.md quotes device-memory.ts', () => {
  const [, program] = readFileSync('examples/device-memory.ts', 'utf8').split(' */\n\n')
  assert.ok(program !== undefined && stackPage.includes(`\`\`\`ts\n${program}\`\`\`\n`))
})

test('device-memory.ts hashes on the device what it cannot read', async () => {
  const link = createGenerator({ totalBytes: 65_536, handshake: true })
  const sent = createHash('sha256')
  const layout = new FrameLayout()
  for (let frame = link.receive(0); frame !== undefined; frame = link.receive(0)) {
    const { memory, offset, length } = frame
    parseFrame(memory.bytes, offset, length, layout)
    const from = offset + layout.headerLength
    sent.update(memory.bytes.subarray(from, from + layout.payloadLength))
  }
  await withProgram('device-memory.js', [], async (program) => {
    assert.equal(await program.line(), '27512 bytes in pages, 38024 in device memory')
    assert.equal(await program.line(), `sha256 ${sent.digest('hex')}`)
    assert.equal(await program.line(), '0 pages out')
  })
})

test('programs in refused/ do not compile', () => {
  const tsc = fileURLToPath(import.meta.resolve('typescript/package.json'))
  const { stdout, status } = spawnSync(
    process.execPath,
    [join(tsc, '../bin/tsc'), '-p', 'examples/refused/tsconfig.json', '--pretty', 'false'],
    { encoding: 'utf8' },
  )
  assert.notEqual(status, 0)
  const answers = stdout.split('\n').filter((line) => line.includes(': error '))
  const places = answers.map((line) =>
    /([\w-]+)\.ts\((\d+),\d+\): error (TS\d+)/.exec(line)?.slice(1),
  )
  assert.deepEqual(places, [
    ['read-device-memory', '12', 'TS2741'],
    ['read-device-memory', '16', 'TS2322'],
    ['read-device-memory', '20', 'TS2538'],
    ['read-device-memory', '23', 'TS2322'],
    ['read-device-memory', '26', 'TS2339'],
    ['reuse-page', '20', 'TS2345'],
    ['reuse-page', '21', 'TS2345'],
    ['reuse-page', '22', 'TS2345'],
  ])
  const [device, reuse] = stdout.split(/^(?=\S+reuse-page\.ts\(20)/m)
  assert.ok(stackPage.includes(device ?? stdout), 'docs/stack.md quotes another answer')
  const sharingPage = readFileSync('docs/sharing.md', 'utf8')
  assert.ok(sharingPage.includes(reuse ?? stdout), 'docs/sharing.md quotes another answer')
})

interface Ended {
  readonly code: number | string | null | undefined
  readonly lines: string[]
  readonly errors: string
}

/** Runs a program to its end; origins are on this machine, whatever proxy the environment names. */
function ended(name: string, ...args: string[]): Promise<Ended> {
  const file = fileURLToPath(new URL(name, import.meta.url))
  const options = { timeout: 300_000, env: { ...process.env, no_proxy: '*' } }
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], options, (error, stdout, errors) => {
      const code = error === null ? 0 : error.code
      resolve({ code, lines: stdout.split('\n').slice(0, -1), errors })
    })
  })
}

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

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
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
      assert.equal(ranges.length, 1, 'what broke went on')
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
