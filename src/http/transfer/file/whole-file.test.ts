import assert from 'node:assert/strict'
import { chmodSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { describe, it } from 'node:test'
import { getInto } from '../../get-into.ts'
import {
  codeOf,
  content,
  freshFolder,
  ranged,
  serve,
  sha256,
  transferring,
} from '../../http.test.helper.ts'
import { resolveTarget } from './file-path.ts'
import { PartFile } from './part-file.ts'
import { newBase, parsePartName, wholePath } from './part-name.ts'
import { writeWhole } from './whole-file.ts'

const bytes = content.subarray(0, 65_536)

describe('a small file', () => {
  it('is written and renamed in one go when all of it is there, also after a break', () =>
    transferring(async (options) => {
      const asked: (string | undefined)[] = []
      await using server = await serve((request, response) => {
        asked.push(request.headers.range)
        if (asked.length > 1) return ranged(request, response, bytes)
        response.writeHead(200, { 'content-length': bytes.length, etag: '"1"' })
        response.write(bytes.subarray(0, 40_000), () => response.destroy())
      })
      const { at, names } = freshFolder()
      const opened: string[] = []
      const destination = {
        path: at('f'),
        open: (path: string, flags: string | number, mode?: number) => {
          opened.push(basename(path))
          assert.deepEqual(names(), [], 'nothing is there before')
          return open(path, flags, mode)
        },
      }
      const progress: number[] = []
      const onProgress = (count: number): void => void progress.push(count)
      const wish = { ...options, sha256: true, onProgress }
      const result = await getInto(server.url, destination, wish)
      assert.deepEqual([result.sha256, result.retries], [sha256(bytes), 1])
      assert.deepEqual([progress.at(-1), names()], [bytes.length, ['f']])
      assert.deepEqual(
        opened.map((name) => parsePartName(at('f'), name)?.owner),
        ['whole'],
      )
      assert.deepEqual(asked, [undefined, 'bytes=40000-'], 'what arrived is not asked for again')
      assert.equal(readFileSync(at('f')).equals(bytes), true)
    }))

  it('of the wrong digest, or of which there is less, is never there', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.url === '/') return response.end(bytes)
        response.writeHead(200, { 'content-length': bytes.length })
        return response.write(bytes.subarray(1), () => response.destroy())
      })
      const { at, names } = freshFolder()
      const wrong = { ...options, retries: 0, sha256: '0'.repeat(64) }
      const got = (path: string): Promise<string> =>
        codeOf(getInto(server.url + path, { path: at('f') }, wrong))
      assert.equal(await got(''), 'NETMEM_DIGEST_MISMATCH')
      assert.match(await got('less'), /^NETMEM_(CONNECTION_RESET|ENDED_EARLY)$/)
      assert.deepEqual(names(), [])
    }))

  it('is private from its first moment where it replaces a file', async () => {
    const { at, names } = freshFolder()
    writeFileSync(at('f'), 'old')
    chmodSync(at('f'), 0o640)
    const modes: unknown[] = []
    await writeWhole(await resolveTarget(at('f')), bytes, (path, flags, mode) => {
      modes.push(flags, mode)
      return open(path, flags, mode)
    })
    assert.deepEqual(modes, ['wx+', 0o600])
    assert.equal(statSync(at('f')).mode & 0o777, 0o640)
    assert.deepEqual(names(), ['f'])
  })

  it('whose name was removed is an error, and leaves the old file', async () => {
    const { at, names } = freshFolder()
    writeFileSync(at('f'), 'old')
    const written = writeWhole(await resolveTarget(at('f')), bytes, async (path, flags, mode) => {
      const file = await open(path, flags, mode)
      await rm(path)
      return file
    })
    await assert.rejects(written, { code: 'ESTALE' })
    assert.equal(readFileSync(at('f'), 'utf8'), 'old')
    assert.deepEqual(names(), ['f'])
  })

  it('of a process that was killed is removed an hour later, and nothing else is', async () => {
    const { at, names } = freshFolder()
    const old = new Date(Date.now() - 2 * 60 * 60 * 1000)
    const whole = (name: string): string => wholePath(newBase(at(name)))
    const [dead, fresh, link, other] = [whole('f'), whole('f'), whole('f'), whole('other')]
    for (const path of [dead, fresh, other]) writeFileSync(path, 'x')
    symlinkSync(other, link)
    for (const path of [dead, other]) utimesSync(path, old, old)
    const kept = [fresh, link, other].map((path) => basename(path))
    await writeWhole(await resolveTarget(at('f')), bytes)
    assert.deepEqual(names(), ['f', ...kept].sort())
    utimesSync(fresh, old, old)
    await (await PartFile.create(await resolveTarget(at('f')))).finish()
    assert.equal(names().includes(kept[0] ?? ''), false, 'a larger file removes it, too')
  })
})
