import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { turns } from '../../../testing/waiting.test.helper.ts'
import { getInto } from '../../get-into.ts'
import {
  codeOf,
  content,
  failure,
  freshFolder,
  ranged,
  serve,
  sha256,
  transferring,
  withPool,
} from '../../http.test.helper.ts'
import { OTHER, SIZE } from '../resume.test.helper.ts'

describe('files that bodies go to', () => {
  it('is each one its own, where two go into one file', () =>
    transferring(async (options) => {
      await using server = await serve(async (request, response) => {
        response.writeHead(200, { 'content-length': SIZE, etag: '"1"' })
        const bytes = request.url === '/a' ? content : OTHER
        for (let at = 0; at < SIZE; at += 500_000) {
          response.write(bytes.subarray(at, at + 500_000))
          await turns()
        }
        response.end()
      })
      const { at, names } = freshFolder()
      for (const resume of [false, true]) {
        const results = await Promise.all([
          getInto(
            `${server.url}a`,
            { path: at('f'), resume },
            { ...options, sha256: sha256(content) },
          ),
          getInto(
            `${server.url}b`,
            { path: at('f'), resume },
            { ...options, sha256: sha256(OTHER) },
          ),
        ])
        assert.deepEqual(
          results.map(({ bytes }) => bytes),
          [SIZE, SIZE],
        )
        const digest = sha256(readFileSync(at('f')))
        assert.ok(
          digest === sha256(content) || digest === sha256(OTHER),
          'one of them, and all of it',
        )
        assert.deepEqual(names(), ['f'])
      }
    }))

  it(
    'fails when the disk is full, and leaves nothing',
    { skip: !existsSync('/dev/full') && 'there is no /dev/full' },
    () =>
      transferring(async (options) => {
        await using server = await serve(ranged)
        const { at, names } = freshFolder()
        await withPool(async (pool) => {
          const error = await failure(
            getInto(
              server.url,
              { path: at('f'), pool, open: () => open('/dev/full', 'w') },
              options,
            ),
          )
          assert.equal(error.code, 'NETMEM_HTTP_FILE')
          assert.match(error.message, /ENOSPC/)
        })
        assert.equal(
          await codeOf(getInto(server.url, { path: '/dev/full' }, options)),
          'NETMEM_HTTP_FILE',
        )
        assert.ok(existsSync('/dev/full'))
        assert.deepEqual(names(), [])
      }),
  )

  it('fails where it cannot be written, and says what to do', () =>
    transferring(async (options) => {
      await using server = await serve(ranged)
      const { at, names } = freshFolder()
      writeFileSync(at('file'), '')
      const wrong = [
        ['no/such', /ENOENT.* Make the folder first\.$/],
        ['file/below', /ENOTDIR.* Choose a path whose folders are folders\.$/],
        ['', /EISDIR.* Name a file in that folder\.$/],
        ['n'.repeat(256), /ENAMETOOLONG.* Choose a shorter name\.$/],
      ] as const
      for (const [name, said] of wrong) {
        const error = await failure(getInto(server.url, { path: at(name) }, options))
        assert.equal(error.code, 'NETMEM_HTTP_FILE')
        assert.match(error.message, said)
      }
      assert.deepEqual(names(), ['file'])
    }))

  it('leaves devices where they are', () =>
    transferring(async (options) => {
      await using server = await serve(ranged)
      const { bytes } = await getInto(server.url, { path: '/dev/null' }, options)
      assert.equal(bytes, SIZE)
      const { statSync } = await import('node:fs')
      assert.ok(statSync('/dev/null').isCharacterDevice())
    }))
})
