import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Publication } from './publication.ts'

test('the first completion of a batch is seen last, and with it all others', () => {
  const words = new Uint32Array(8)
  const publication = new Publication(words)
  assert.equal(publication.publish(), false, 'nothing was added')
  publication.add(5, 50)
  publication.add(7, 70)
  publication.add(1, 10)
  assert.deepEqual([...words], [0, 10, 0, 0, 0, 0, 0, 70])
  assert.equal(publication.publish(), true)
  assert.deepEqual([...words], [0, 10, 0, 0, 0, 50, 0, 70])
  assert.equal(publication.publish(), false)
  publication.add(3, 30)
  assert.equal(words[3], 0)
  publication.publish()
  assert.equal(words[3], 30)
})
