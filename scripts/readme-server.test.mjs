// README's first program serves many clients at once, and survives one that is reset.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

test("README's first program serves many, and survives a reset", async () => {
  const [, program] = /^```ts\n(.*?)^```/ms.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  const port = await freePort()
  const { code } = await transform(program.replace('5201', String(port)), { loader: 'ts' })
  // Inside the checkout, where `netmem` is itself.
  const folder = mkdtempSync(join(root, 'build', 'readme-'))
  writeFileSync(join(folder, 'server.mjs'), code)
  const server = spawn(process.execPath, [join(folder, 'server.mjs')])
  try {
    const received = createInterface(server.stdout)[Symbol.asyncIterator]()
    const complained = createInterface(server.stderr)[Symbol.asyncIterator]()
    const idle = await connected(port)
    const reset = await connected(port)
    reset.write('12')
    assert.equal((await received.next()).value, '2')
    reset.resetAndDestroy()
    assert.match((await complained.next()).value, /ECONNRESET/)
    const late = await connected(port)
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

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Connects as soon as the server listens. */
async function connected(port) {
  for (;;) {
    const socket = net.connect(port, '127.0.0.1')
    const error = await new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined)).once('error', resolve)
    })
    if (error === undefined) return socket.on('error', () => {})
  }
}
