import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const SCRIPT = fileURLToPath(new URL('./run-out.test.worker.js', import.meta.url))

test('a machine that cannot be taken for want of descriptors waits, and is taken later', {
  skip,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-run-out-'))
  try {
    const limited = 'ulimit -n 64; exec "$0" "$@"'
    const args = ['-c', limited, process.execPath, SCRIPT, folder]
    const { stdout, stderr, status } = spawnSync('bash', args, { encoding: 'utf8' })
    assert.equal(stderr, '')
    assert.deepEqual([stdout, status], ['taken\n', 0])
    assert.deepEqual(readdirSync(folder), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
