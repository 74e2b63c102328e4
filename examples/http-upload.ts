/**
 * An HTTP upload handler: each body is written to a file through pages, so that a slow disk slows
 * its client down instead of filling memory.
 *
 *   node build/examples/http-upload.js DIRECTORY [PORT]
 *   curl -T something http://127.0.0.1:7004/name
 */

import { createWriteStream } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { basename, join } from 'node:path'
import { createPool, hostProvider, isNetmemError } from 'netmem'
import { pipeTo, receiveBody } from 'netmem/net'

const [, , directory = '.', port = '7004'] = process.argv
const pool = createPool(hostProvider({ pages: 64 }))

async function upload(request: IncomingMessage): Promise<string> {
  const name = basename(new URL(request.url ?? '/', 'http://localhost').pathname) || 'upload'
  const bytes = await pipeTo(receiveBody(request, pool), createWriteStream(join(directory, name)))
  return `${bytes} bytes in ${name}\n`
}

const server = createServer((request, response) => {
  upload(request).then(
    (answer) => response.end(answer),
    (error: unknown) => {
      // The rest of the body would stand before the next request of this connection.
      response.setHeader('Connection', 'close')
      response.statusCode = isNetmemError(error) ? 400 : 500
      response.end(`${error}\n`)
    },
  )
})
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address()
  console.log(`listening on port ${typeof address === 'object' ? address?.port : address}`)
})
