import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import {
  FREE,
  newBase,
  notePath,
  ownerIn,
  parsePartName,
  partPath,
  socketPath,
} from './part-name.ts'

const PLACE = '0123456789ab'

describe('names of parts', () => {
  it('fit wherever the name itself fits, and are read again', () => {
    const folder = mkdtempSync(join(tmpdir(), 'netmem-names-'))
    const names = [
      'f',
      'n'.repeat(80),
      'n'.repeat(81),
      'n'.repeat(255),
      'ü'.repeat(127),
      '🚀'.repeat(63),
    ]
    for (const name of names) {
      const owner = ownerIn(PLACE)
      const base = newBase(join(folder, name))
      const [note, free] = [notePath({ base, owner }), notePath({ base, owner: FREE })]
      writeFileSync(join(folder, name), '')
      for (const path of [partPath(base), note, free]) writeFileSync(path, '')
      // The least that a file system takes (eCryptfs).
      assert.ok(Buffer.byteLength(basename(note)) <= 143)
      assert.ok(!base.includes('\ufffd'), 'no half of a character')
      assert.deepEqual(parsePartName(join(folder, name), basename(note)), { base, owner })
      assert.equal(parsePartName(join(folder, name), basename(free))?.owner, FREE)
    }
    rmSync(folder, { recursive: true })
  })

  it('of long names with one beginning differ', () => {
    const [a, b] = [`${'n'.repeat(200)}a`, `${'n'.repeat(200)}b`]
    const note = notePath({ base: newBase(b), owner: FREE })
    assert.equal(parsePartName(a, basename(note)), undefined)
  })

  it('cannot be foretold', () => {
    assert.notEqual(newBase('f'), newBase('f'))
    assert.notEqual(ownerIn(PLACE), ownerIn(PLACE))
  })

  it('of other programs are not ours', () => {
    const names = [
      'f.part',
      'f.part.json',
      'f.1-0-1.part.json',
      'f',
      'g.0123456789abcdef.free.part.json',
    ]
    for (const name of [
      ...names,
      'f.0123456789abcdef.FREE.part.json',
      basename(socketPath({ base: newBase('f'), owner: ownerIn(PLACE) })),
    ]) {
      assert.equal(parsePartName('/folder/f', name), undefined, name)
    }
  })
})
