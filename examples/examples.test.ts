/** Runs every example as a program, against plain Node.js clients. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createPool, type Page, sharedProvider } from 'netmem'
import { createGenerator, FrameLayout, parseFrame } from 'netmem/stack'
import { driverConformance } from 'netmem/stack/testing'
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

test('read-device-memory.ts does not compile', () => {
  const tsc = fileURLToPath(import.meta.resolve('typescript/package.json'))
  const { stdout, status } = spawnSync(
    process.execPath,
    [join(tsc, '../bin/tsc'), '-p', 'examples/refused/tsconfig.json', '--pretty', 'false'],
    { encoding: 'utf8' },
  )
  assert.notEqual(status, 0)
  const answers = stdout.split('\n').filter((line) => line.includes(': error '))
  const codes = answers.map((line) => /\((\d+),\d+\): error (TS\d+)/.exec(line)?.slice(1))
  assert.deepEqual(codes, [
    ['12', 'TS2741'],
    ['16', 'TS2322'],
    ['20', 'TS2538'],
    ['23', 'TS2322'],
    ['26', 'TS2339'],
  ])
  assert.ok(stackPage.includes(stdout), 'docs/stack.md quotes another answer')
})
