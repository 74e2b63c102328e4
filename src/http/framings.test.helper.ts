/** Helper of the tests of getInto: the content, framed in each way that HTTP has. Not published. */

import type http from 'node:http'
import { content } from './http.test.helper.ts'

/** Handlers that send all of the content, by their framing. */
export const framings: Readonly<
  Record<'length' | 'chunked' | 'small chunks' | 'close', http.RequestListener>
> = {
  length: (_, response) => {
    response.writeHead(200, { 'content-length': content.length }).end(content)
  },
  chunked: (_, response) => {
    for (let at = 0; at < content.length; at += 70_000)
      response.write(content.subarray(at, at + 70_000))
    response.end()
  },
  'small chunks': (_, response) => {
    for (let at = 0; at < content.length; at += 997) response.write(content.subarray(at, at + 997))
    response.end()
  },
  close: (_, response) => {
    response.removeHeader('transfer-encoding')
    response.sendDate = false
    response.socket?.end(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), content]))
  },
}
