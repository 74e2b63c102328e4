// Programs that must not compile do not, against the declarations that users get.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('handles, pools and frags of different memory do not mix', () => {
  const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
  const file = fileURLToPath(new URL('types.mts', import.meta.url))
  const options = [
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--types',
    'node',
  ]
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, file], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stdout)
})
