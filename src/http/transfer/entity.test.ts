import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { getInto } from '../get-into.ts'
import { begins, codeOf, content, firstOf, serveRaw, transferring } from '../http.test.helper.ts'

const SIZE = content.length

describe('a transfer that is gone on with', () => {
  it('resumes by date where the rest names none, and not with the rest of another date', () =>
    transferring(async (options) => {
      const date = new Date(Date.now() - 60_000).toUTCString()
      const now = new Date().toUTCString()
      const rests = [
        [`ETag: W/"1"\r\n`, undefined],
        ['', undefined],
        [`Last-Modified: ${date}\r\nETag: W/"2"\r\n`, undefined],
        [`Last-Modified: ${now}\r\n`, 'NETMEM_HTTP_CHANGED'],
        ['ETag: W/"2"\r\n', 'NETMEM_HTTP_CHANGED'],
      ] as const
      for (const [fields, expected] of rests) {
        await using server = await serveRaw((socket, request) => {
          const first = firstOf(request)
          if (first === 0) {
            socket.write(
              `HTTP/1.1 200 OK\r\nETag: W/"1"\r\nLast-Modified: ${date}\r\nDate: ${now}\r\nContent-Length: ${SIZE}\r\n\r\n`,
            )
            socket.write(content.subarray(0, 500_000), () => socket.end())
            return
          }
          assert.ok(request.includes(`If-Range: ${date}\r\n`))
          socket.write(
            `HTTP/1.1 206 Rest\r\n${fields}Content-Range: bytes ${first}-${SIZE - 1}/${SIZE}\r\nContent-Length: ${SIZE - first}\r\n\r\n`,
          )
          socket.write(content.subarray(first))
        })
        const memory = new Uint8Array(SIZE)
        const got = getInto(server.url, memory, options)
        if (expected !== undefined) assert.equal(await codeOf(got), expected)
        else {
          await got
          begins(memory, content)
        }
      }
    }))

  it('resumes by an ETag of any bytes, sent once or twice alike, and not by two', () =>
    transferring(async (options) => {
      const cases = [
        ['ETag: "caf\u00e9"', '"caf\u00e9"'],
        ['ETag: "1"\r\nETag: "1"', '"1"'],
        ['ETag: "1"\r\nETag: "2"', undefined],
      ] as const
      for (const [fields, validator] of cases) {
        const asked: (string | undefined)[] = []
        await using server = await serveRaw((socket, request) => {
          const first = firstOf(request)
          asked.push(/^if-range: (.*)\r$/im.exec(request)?.[1])
          const part = `206 Rest\r\nContent-Range: bytes ${first}-${SIZE - 1}/${SIZE}`
          const head = `HTTP/1.1 ${first === 0 ? '200 OK' : part}\r\n${fields}\r\n`
          socket.write(`${head}Content-Length: ${SIZE - first}\r\n\r\n`, 'latin1')
          if (asked.length > 1) socket.write(content.subarray(first))
          else socket.write(content.subarray(0, 500_000), () => socket.end())
        })
        const memory = new Uint8Array(SIZE)
        await getInto(server.url, memory, options)
        begins(memory, content)
        assert.deepEqual(asked, [undefined, validator])
      }
    }))

  it('is complete where it broke off before the word that it is, of the same version alone', () =>
    transferring(async (options) => {
      for (const etag of ['"1"', '"2"', undefined]) {
        await using server = await serveRaw((socket, request) => {
          const first = firstOf(request)
          if (first === 0) {
            socket.write('HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n')
            socket.write('5\r\nwhole\r\n', () => socket.end())
            return
          }
          const named = etag === undefined ? '' : `ETag: ${etag}\r\n`
          socket.write(
            `HTTP/1.1 416 No\r\n${named}Content-Range: bytes */5\r\nContent-Length: 0\r\n\r\n`,
          )
        })
        const got = getInto(server.url, new Uint8Array(9), options)
        if (etag === '"2"') assert.equal(await codeOf(got), 'NETMEM_HTTP_CHANGED')
        else assert.equal((await got).bytes, 5)
      }
    }))
})
