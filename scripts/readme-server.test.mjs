// README's first program serves many clients at once, and survives one that is reset.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'
import { freePorts } from '../dist/testing/free-ports.test.helper.js'

const root = fileURLToPath(new URL('..', import.meta.url))

test("README's first program serves many, and survives a reset", async () => {
  const [, program] = /^```ts\n(.*?)^```/ms.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  const [port] = await freePorts(1)
  const { code } = await transform(program.replace('5201', String(port)), { loader: 'ts' })
  // The folder is inside the checkout, where `netmem` is itself.
  const folder = mkdtempSync(join(root, 'build', 'readme-'))
  writeFileSync(join(folder, 'server.mjs'), code)
  const server = spawn(process.execPath, [join(folder, 'server.mjs')])
  try {
    const received = createInterface(server.stdout)[Symbol.asyncIterator]()
    const complained = createInterface(server.stderr)[Symbol.asyncIterator]()
    const idle = await connected(server, port)
    const reset = await connected(server, port)
    reset.write('12')
    assert.equal((await received.next()).value, '2')
    reset.resetAndDestroy()
    assert.match((await complained.next()).value, /ECONNRESET/)
    const late = await connected(server, port)
    late.end('123')
    assert.equal((await received.next()).value, '3')
    idle.end('1234')
    assert.equal((await received.next()).value, '4')
    assert.equal(server.exitCode, null)
  } finally {
    server.kill()
    rmSync(folder, { recursive: true })
  }
})

/** Connects as soon as the server listens. */
async function connected(server, port) {
  for (;;) {
    assert.equal(server.exitCode, null, 'the program ended')
    const socket = net.connect(port, '127.0.0.1')
    const error = await new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined)).once('error', resolve)
    })
    if (error === undefined) return socket.on('error', () => {})
  }
}
