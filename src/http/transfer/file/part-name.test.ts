import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import { FREE, ownerIn, parseNoteName, partPaths, socketName } from './part-name.ts'

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
      const paths = partPaths(join(folder, name))
      writeFileSync(join(folder, name), '')
      for (const path of [paths.part, paths.note(owner), paths.note(FREE)]) writeFileSync(path, '')
      // The least that a file system takes (eCryptfs).
      assert.ok(Buffer.byteLength(basename(paths.note(owner))) <= 143)
      assert.ok(!paths.part.includes('\ufffd'), 'no half of a character')
      const { id } = parseNoteName(join(folder, name), basename(paths.note(owner))) ?? {}
      assert.deepEqual(partPaths(join(folder, name), id).part, paths.part)
      assert.equal(parseNoteName(join(folder, name), basename(paths.note(FREE)))?.owner, FREE)
    }
    rmSync(folder, { recursive: true })
  })

  it('of long names with one beginning differ', () => {
    const [a, b] = [`${'n'.repeat(200)}a`, `${'n'.repeat(200)}b`]
    assert.equal(parseNoteName(a, basename(partPaths(b).note(FREE))), undefined)
  })

  it('cannot be foretold', () => {
    assert.notEqual(partPaths('f').part, partPaths('f').part)
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
      socketName(ownerIn(PLACE)),
    ]) {
      assert.equal(parseNoteName('/folder/f', name), undefined, name)
    }
  })
})
