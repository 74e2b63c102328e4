// The API reference is what the declarations say: a change of the public API shows in its diff.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiReference, outdatedPages } from './api-reference.mjs'

test('the API reference is up to date', () => {
  assert.deepEqual(outdatedPages(), [], 'Run `npm run api`, and look at the diff of docs/api.')
})

test('every export has a docstring', () => {
  assert.deepEqual(apiReference().undocumented, [])
})
