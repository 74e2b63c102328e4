import assert from 'node:assert/strict'
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { turns, VirtualClock } from '../testing/waiting.test.helper.ts'
import { framings } from './framings.test.helper.ts'
import { getInto } from './get-into.ts'
import {
  begins,
  codeOf,
  content,
  freshFolder,
  ranged,
  serve,
  sha256,
  transferring,
  withPool,
} from './http.test.helper.ts'

describe('getInto', () => {
  for (const [framing, handler] of Object.entries(framings)) {
    it(`fills memory of every kind, framed by ${framing}`, () =>
      transferring(async (options) => {
        await using server = await serve(handler)
        const size = content.length
        const wish = { ...options, sha256: sha256(content) }
        for (const memory of [
          new Uint8Array(size),
          new ArrayBuffer(size),
          new SharedArrayBuffer(size + 9),
        ]) {
          const { bytes, sha256: digest, head } = await getInto(server.url, memory, wish)
          assert.deepEqual([bytes, digest, head.status], [size, wish.sha256, 200])
          begins(memory, content)
        }
        const within = new Uint8Array(size + 20)
        await getInto(server.url, within.subarray(10, 10 + size), wish)
        begins(within.subarray(10), content)
        assert.deepEqual([within[9], within[size + 10]], [0, 0], 'nothing beside it')
      }))

    it(`fills memory made for the head, a file and a pool, framed by ${framing}`, () =>
      transferring(async (options) => {
        await using server = await serve(handler)
        const wish = { ...options, sha256: true }
        const memory = new Uint8Array(content.length)
        let announced: number | undefined = -1
        await getInto(
          server.url,
          (head, length) => {
            assert.equal(head.status, 200)
            announced = length
            return memory
          },
          wish,
        )
        begins(memory, content)
        assert.equal(announced, framing === 'length' ? content.length : undefined)

        const { at, names } = freshFolder()
        await withPool(async (pool) => {
          const { sha256: digest } = await getInto(server.url, { path: at('file'), pool }, wish)
          assert.equal(digest, sha256(content))
        })
        begins(readFileSync(at('file')), content)
        await getInto(server.url, { path: at('again') }, wish)
        assert.deepEqual(names(), ['again', 'file'])

        await withPool(async (pool) => {
          const held: Buffer[] = []
          const { bytes, sha256: digest } = await getInto(
            server.url,
            {
              pool,
              onFrag: async (frag, position) => {
                assert.equal(
                  position,
                  held.reduce((sum, { length }) => sum + length, 0),
                )
                await setImmediate()
                held.push(Buffer.from(frag.bytes))
                frag.release()
              },
            },
            { ...wish, onHead: ({ status }) => assert.equal(status, 200) },
          )
          assert.deepEqual([bytes, digest], [content.length, sha256(content)])
          assert.equal(Buffer.compare(Buffer.concat(held), content), 0)
        })
      }))
  }

  it('bodies without bytes are bodies', () =>
    transferring(async (options) => {
      const { at } = freshFolder()
      for (const status of [200, 204]) {
        await using server = await serve((_, response) => response.writeHead(status).end())
        const { bytes } = await getInto(server.url, new Uint8Array(0), options)
        assert.equal(bytes, 0)
        const { sha256: digest } = await getInto(
          server.url,
          { path: at('f') },
          { ...options, sha256: true },
        )
        assert.equal(digest, sha256(Buffer.alloc(0)))
        assert.equal(readFileSync(at('f')).length, 0)
      }
    }))

  it('reports progress, and fails with what the callback throws', () =>
    transferring(async (options) => {
      await using server = await serve(framings.length)
      const memory = new Uint8Array(content.length)
      let last = 0
      await getInto(server.url, memory, {
        ...options,
        onProgress: (bytes) => {
          assert.ok(bytes > last)
          last = bytes
        },
      })
      assert.equal(last, content.length)
      const wrong = new Error('wrong')
      const onProgress = (): void => {
        throw wrong
      }
      await assert.rejects(getInto(server.url, memory, { ...options, onProgress }), wrong)
    }))

  it('fails with what a destination throws', () =>
    transferring(async (options) => {
      await using server = await serve(framings.length)
      const wrong = new Error('wrong')
      const fails = (): never => {
        throw wrong
      }
      await assert.rejects(getInto(server.url, fails, options), wrong)
      await withPool(async (pool) => {
        const onFrag = (frag: Disposable): never => {
          frag[Symbol.dispose]()
          throw wrong
        }
        await assert.rejects(getInto(server.url, { pool, onFrag }, options), wrong)
      })
    }))

  it('notices memory that is detached in mid-transfer', () =>
    transferring(async (options) => {
      await using server = await serve(async (_, response) => {
        response.writeHead(200, { 'content-length': content.length, etag: '"1"' })
        for (let at = 0; at < content.length; at += 300_000) {
          response.write(content.subarray(at, at + 300_000))
          await turns()
        }
        response.end()
      })
      const memory = new Uint8Array(new ArrayBuffer(content.length))
      const code = await codeOf(
        getInto(server.url, memory, {
          ...options,
          sha256: true,
          onProgress: (bytes) => {
            if (bytes > 1_000_000 && memory.byteLength > 0)
              structuredClone(memory.buffer, { transfer: [memory.buffer] })
          },
        }),
      )
      assert.equal(code, 'NETMEM_DESTINATION_DETACHED')
    }))

  for (const framed of ['by its length', 'in chunks']) {
    it(`notices memory that moves at the first progress of a body ${framed}`, () =>
      transferring(async (options) => {
        await using server = await serve((_, response) => {
          if (framed === 'by its length') response.setHeader('content-length', content.length)
          // Head and body arrive in one read.
          response.end(content)
        })
        const memory = new Uint8Array(new ArrayBuffer(content.length))
        const onProgress = (): void => {
          if (memory.byteLength > 0) structuredClone(memory.buffer, { transfer: [memory.buffer] })
        }
        const code = await codeOf(
          getInto(server.url, memory, { ...options, retries: 0, onProgress }),
        )
        assert.equal(code, 'NETMEM_DESTINATION_DETACHED')
      }))
  }

  it('bounds memory by the pool, and does not blame the server for a slow consumer', (t) =>
    transferring(async (options) => {
      const clock = new VirtualClock(t)
      await using server = await serve(framings.length)
      await withPool(async (pool) => {
        let slow = true
        const { bytes } = await getInto(
          server.url,
          {
            pool,
            onFrag: async (frag) => {
              if (slow) {
                slow = false
                await turns()
                clock.advance(150)
                await turns()
              }
              assert.ok(pool.out <= 2)
              frag.release()
            },
          },
          { ...options, stallTimeoutMs: 50 },
        )
        assert.equal(bytes, content.length)
      }, 2)
    }))

  it('keeps to a rate', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) =>
        ranged(request, response, content.subarray(0, 300_000)),
      )
      const began = performance.now()
      const wish = { ...options, maxBytesPerSecond: 1_000_000 }
      await getInto(server.url, new Uint8Array(300_000), wish)
      await withPool(async (pool) => {
        await getInto(server.url, { pool, onFrag: (frag) => frag.release() }, wish)
      })
      const ms = performance.now() - began
      assert.ok(ms > 300, `${ms}`)
    }))

  it('a file that is there is replaced when its successor is complete, through links', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.url === '/404') response.writeHead(404).end()
        else response.end('new')
      })
      const { at, names } = freshFolder()
      writeFileSync(at('file'), 'old')
      symlinkSync(at('file'), at('link'))
      assert.equal(
        await codeOf(getInto(`${server.url}404`, { path: at('file') }, options)),
        'NETMEM_HTTP_STATUS',
      )
      assert.equal(readFileSync(at('file'), 'utf8'), 'old')
      await getInto(server.url, { path: at('link') }, options)
      assert.equal(readFileSync(at('file'), 'utf8'), 'new')
      assert.deepEqual(names(), ['file', 'link'])
      symlinkSync('later', at('early'))
      await getInto(server.url, { path: at('early') }, options)
      assert.deepEqual(names(), ['early', 'file', 'later', 'link'])
      assert.equal(readFileSync(at('later'), 'utf8'), 'new')
      chmodSync(at('file'), 0o600)
      await getInto(server.url, { path: at('file') }, options)
      assert.equal(statSync(at('file')).mode & 0o777, 0o600, 'other users may not read it now')
    }))
})
