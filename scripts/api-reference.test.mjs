// The API reference is what the declarations say: a change of the public API shows in its diff.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiReference, outdatedPages } from './api-reference.mjs'

const { pages, undocumented } = apiReference()

test('the API reference is up to date', () => {
  assert.deepEqual(outdatedPages(pages), [], 'Run `npm run api`, and look at the diff of docs/api.')
})

test('every export has a docstring, and so has every member of one', () => {
  assert.deepEqual(undocumented, [])
})

test('errors of an export are in @throws, where editors show them', () => {
  const inProse = /\b(?:Throws (?:NETMEM_|as )|Rejects? with NETMEM_)/
  for (const [name, page] of pages) assert.doesNotMatch(page, inProse, name)
})
