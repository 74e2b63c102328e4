import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import { freshFolder } from '../../http.test.helper.ts'
import { resolveTarget } from './file-path.ts'
import { PartFile } from './part-file.ts'
import type { Resumable } from './part-note.ts'

const url = 'http://example.org/f'
const resumable: Resumable = {
  url,
  entity: { length: 9, etag: '"1"', lastModified: undefined, validator: '"1"' },
  modifiedMs: undefined,
}

/** A folder, and what is in it by kind: there is one part at a time in most tests. */
function folder() {
  const { at, names } = freshFolder()
  const find = (ending: RegExp): string => at(names().find((name) => ending.test(name)) ?? 'none')
  return {
    at,
    names,
    target: at('f'),
    part: () => find(/\.part$/),
    note: () => find(/\.part\.json$/),
    socket: () => find(/^\.netmem-/),
    create: async (noted?: Resumable) => {
      const part = await PartFile.create(await resolveTarget(at('f')), noted)
      made.push(part)
      return part
    },
    claim: async () => {
      const claimed = await PartFile.claim(await resolveTarget(at('f')), url)
      if (claimed !== undefined) made.push(claimed.part)
      return claimed
    },
  }
}

// A part that a test has left open is as that of a process that lives: Node.js 26 takes a file that
// is collected before it was closed for an error.
const made: PartFile[] = []
after(async () => {
  for (const part of made) await part.discard().catch(() => {})
})

/** Sets a note's time back, as if its owner had not been heard of since. */
function age(note: string, seconds: number): void {
  const time = new Date(Date.now() - seconds * 1000)
  utimesSync(note, time, time)
}

/** Leaves the part of a transfer that fails with `bytes` bytes of its nine. */
async function left(from: ReturnType<typeof folder>, bytes = 4): Promise<void> {
  const part = await from.create(resumable)
  await part.handle.write('123456789', 0)
  await part.keep(bytes, resumable)
}

describe('a part', () => {
  it('of a private file is private, and its successor gets what the file has', async () => {
    for (const mode of [0o600, 0o640, 0o644]) {
      const { target, create, names, part: path } = folder()
      writeFileSync(target, 'old', { mode })
      chmodSync(target, mode)
      const part = await create()
      assert.equal(statSync(path()).mode & 0o777, 0o600)
      await part.handle.write('new')
      assert.equal(readFileSync(target, 'utf8'), 'old')
      await part.finish()
      assert.equal(statSync(target).mode & 0o777, mode)
      assert.equal(readFileSync(target, 'utf8'), 'new')
      assert.deepEqual(names(), ['f'])
    }
  })

  it('is private from its first moment on', async () => {
    const { target } = folder()
    writeFileSync(target, 'old', { mode: 0o600 })
    const modes: unknown[] = []
    const part = await PartFile.create(
      await resolveTarget(target),
      undefined,
      (path, flags, mode) => {
        modes.push(flags, mode)
        return open(path, flags, mode)
      },
    )
    assert.deepEqual(modes, ['wx+', 0o600])
    await part.discard()
  })

  it('of a file that became private during the transfer is private before it is in its place', async () => {
    const { target, create } = folder()
    const part = await create()
    writeFileSync(target, 'secret', { mode: 0o600 })
    await part.finish()
    assert.equal(statSync(target).mode & 0o777, 0o600)
  })

  it('keeps the group, or gives it nothing', async () => {
    const { target, create } = folder()
    writeFileSync(target, 'old')
    chmodSync(target, 0o640)
    const other = process.getgroups?.().find((group) => group !== statSync(target).gid)
    // Root may give it any group, and others those they are in.
    if (other !== undefined) chownSync(target, statSync(target).uid, other)
    const before = statSync(target)
    const part = await create()
    await part.finish()
    const { gid, mode } = statSync(target)
    assert.ok(gid === before.gid ? (mode & 0o777) === 0o640 : (mode & 0o070) === 0)
  })

  it('leaves alone what other programs have there', async () => {
    const from = folder()
    const { at, names, target, create, claim } = from
    writeFileSync(at('f.part'), 'the only copy')
    writeFileSync(at('f.part.json'), '{}')
    mkdirSync(at('f.0123456789abcdef.part'))
    writeFileSync(at('f.0123456789abcdef.free.part.json'), '{"inode":"1"}')
    symlinkSync(at('f.part'), at('f.1123456789abcdef.part'))
    const before = names()
    assert.equal(await claim(), undefined)
    const part = await create()
    await part.finish()
    assert.deepEqual(names(), ['f', ...before].sort())
    assert.equal(readFileSync(at('f.part'), 'utf8'), 'the only copy')
    assert.equal(statSync(target).size, 0)
  })

  it('that was replaced by a link is not followed', async () => {
    for (const link of [symlinkSync, linkSync]) {
      const from = folder()
      await left(from)
      const victim = from.at('victim')
      writeFileSync(victim, 'precious')
      const path = from.part()
      unlinkSync(path)
      link(victim, path)
      assert.equal(await from.claim(), undefined)
      await (await from.create()).finish()
      assert.equal(readFileSync(victim, 'utf8'), 'precious')
    }
  })

  it('that has another name, too, is not written to', async () => {
    const from = folder()
    await left(from)
    linkSync(from.part(), from.at('backup'))
    assert.equal(await from.claim(), undefined)
    await (await from.create()).finish()
    assert.equal(readFileSync(from.at('backup'), 'utf8'), '1234')
  })

  it('whose note was replaced by a link is not ours', async () => {
    const from = folder()
    await left(from)
    renameSync(from.note(), from.at('elsewhere'))
    symlinkSync(
      from.at('elsewhere'),
      from.at(`${from.part().split('/').at(-1)?.slice(0, -5)}.free.part.json`),
    )
    assert.equal(await from.claim(), undefined)
  })

  it('continues in place when it was given away, and is swept when it is of no use', async () => {
    const from = folder()
    await left(from)
    const found = await from.claim()
    assert.equal(found?.bytes, 4)
    await found?.part.keep(4, resumable)
    await (await from.create()).discard()
    assert.equal(from.names().length, 2, 'one that fails takes nothing from those that resume')
    await (await from.create()).finish()
    assert.deepEqual(from.names(), ['f'])
  })

  it('of ranges is of use only once it has no holes', async () => {
    const from = folder()
    const part = await from.create()
    await part.handle.write('123456789', 0)
    await part.keep(4, resumable)
    const found = await from.claim()
    assert.equal(found?.bytes, 4)
    await found?.part.discard()
    assert.deepEqual(from.names(), [])
  })

  it('is seen to be in use, also where its folder has a long path', async () => {
    const { at } = freshFolder()
    const deep = at(`${'d'.repeat(100)}/${'e'.repeat(200)}`)
    mkdirSync(deep, { recursive: true })
    for (const target of [at('f'), `${deep}/f`]) {
      const part = await PartFile.create(await resolveTarget(target), resumable)
      await part.handle.write('123')
      await part.listening()
      // The socket shows that the owner lives: its note looks old.
      const where = target.slice(0, -2)
      for (const name of readdirSync(where)) {
        if (name.endsWith('.json')) age(`${where}/${name}`, 600)
      }
      assert.equal(await PartFile.claim(await resolveTarget(target), url), undefined)
      await part.discard()
    }
  })

  it('of an owner without a socket and with an old note is copied, and its owner notices', async () => {
    const from = folder()
    const asleep = await from.create(resumable)
    await asleep.handle.write('1234')
    await asleep.listening()
    // Looks like a file system that has no sockets.
    unlinkSync(from.socket())
    age(from.note(), 50)
    assert.equal(await from.claim(), undefined, 'it may be slow')
    age(from.note(), 70)
    const found = await from.claim()
    assert.equal(found?.bytes, 4)
    assert.equal(await from.claim(), undefined, 'one of two')
    await found?.part.handle.write('56789', 4)
    // The sleeper wakes up, and writes on: to a file that no other process has.
    await asleep.handle.write('xxxx')
    await found?.part.finish()
    await assert.rejects(asleep.finish(), { code: 'ESTALE' })
    await asleep.discard()
    assert.equal(readFileSync(from.target, 'utf8'), '123456789')
    assert.deepEqual(from.names(), ['f'])
  })

  it('of an owner on another machine is not taken although its socket refuses', async () => {
    const from = folder()
    const part = await from.create(resumable)
    await part.handle.write('1234')
    await part.listening()
    // The name alone tells machines apart.
    const [note, socket] = [from.note(), from.socket()]
    const owner = /\.netmem-(.*)$/.exec(socket)?.[1] ?? ''
    const elsewhere = `000000000000${owner.slice(12)}`
    renameSync(note, note.replace(owner, elsewhere))
    unlinkSync(socket)
    // A file that is no socket refuses, too.
    writeFileSync(socket.replace(owner, elsewhere), '')
    assert.equal(await from.claim(), undefined)
    age(from.note(), -70)
    assert.equal((await from.claim())?.bytes, 4, 'a time that is ahead is as old')
  })

  it('shows that it is in use by its note, too', async (t) => {
    const beats: (() => Promise<void>)[] = []
    t.mock.method(globalThis, 'setInterval', (beat: () => Promise<void>) => {
      beats.push(beat)
      return setTimeout(() => {}, 0)
    })
    const from = folder()
    const part = await from.create(resumable)
    age(from.note(), 70)
    await beats[0]?.()
    assert.ok(Math.abs(Date.now() - statSync(from.note()).mtimeMs) < 60_000)
    JSON.parse(readFileSync(from.note(), 'utf8'))
    await part.discard()
  })
})
