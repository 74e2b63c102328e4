/** Runs the examples that listen as programs, against plain Node.js clients. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { PAYLOAD, withDirectory, withProgram } from './programs.test.helper.ts'

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
