// Programs that hold all memory of their pool: they wait, and do not end in the middle.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import type { Server, Socket } from 'node:net'
import { test } from 'node:test'
import { listening, send, serve } from '../harness.test.helper.ts'
import type { DryJob } from './dry.test.worker.ts'

const total = 4_000_000

/** A program that receives `total` bytes from `server`, and all it says until it ends. */
async function run(
  server: Server,
  how: DryJob['how'],
  hears: (message: unknown, program: ChildProcess) => void,
): Promise<{ readonly said: readonly unknown[]; readonly code: unknown }> {
  const place = await listening(server, 'tcp4')
  assert.ok('port' in place && place.port !== undefined)
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => sockets.push(socket))
  const program = fork(new URL('dry.test.worker.js', import.meta.url))
  const said: unknown[] = []
  program.on('message', (message) => {
    said.push(message)
    hears(message, program)
  })
  program.send({ port: place.port, how } satisfies DryJob)
  // Waits for `close`: `exit` may overtake what the program has said.
  const [code] = await once(program, 'close')
  server.close()
  for (const socket of sockets) socket.destroy()
  return { said, code }
}

function pushing(): Server {
  return serve('tcp4', (socket) => {
    socket.on('error', () => {})
    void send(socket, 0, total).then(() => socket.end())
  })
}

const releasesWhenDry = (message: unknown, program: ChildProcess): void => {
  if (message === 'dry') program.send('release')
}

test('a program whose connection waits for memory does not end', async () => {
  const { said, code } = await run(pushing(), 'connect', releasesWhenDry)
  assert.deepEqual(said, ['dry', total, 'idle'])
  assert.equal(code, 0)
})

test('unref() lets a program end whose connection waits for memory', async () => {
  const { said } = await run(pushing(), 'unref', () => {})
  assert.deepEqual(said, ['dry', 'idle'])
})

test('a program whose getInto waits for memory does not end', async () => {
  const server = http.createServer((_request, response) => {
    response.setHeader('Content-Length', total)
    response.end(Buffer.alloc(total, 1))
  })
  const { said, code } = await run(server, 'getInto', releasesWhenDry)
  assert.deepEqual(said, ['dry', total, 'idle'])
  assert.equal(code, 0)
})
