import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { printable, printableJson } from './printable.ts'

const evil = 'a\x1b]0;b\x07\x9b2J\x85\x7f\t\u202e\u2028\u{e0041}\ud800z'

describe('printable text', () => {
  it('has nothing that a terminal obeys, and shows what was there', () => {
    assert.equal(
      printable(evil),
      'a\\x1b]0;b\\x07\\x9b2J\\x85\\x7f\\x09\\u202e\\u2028\\u{e0041}\\ud800z',
    )
  })

  it('leaves letters of every script as they are', () => {
    for (const text of ['größe', '日本語', 'می\u200cخواهم', '👩\u200d💻', 'a b\\c']) {
      assert.equal(printable(text), text)
    }
  })

  it('is JSON of the same value', () => {
    const json = printableJson({ evil })
    assert.equal(printable(json), json)
    assert.deepEqual(JSON.parse(json), { evil })
  })
})
