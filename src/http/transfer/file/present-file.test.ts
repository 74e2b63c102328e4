import assert from 'node:assert/strict'
import { truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { mock, test } from 'node:test'
import { freshFolder } from '../../http.test.helper.ts'
import { HashThread } from '../digest/hash-thread.ts'
import { settingsOf } from '../settings.ts'
import { presentFile } from './present-file.ts'

/** Size from which a thread hashes. */
const THREAD_BYTES = 16 * 1024 * 1024
/** At least as many as there are hash threads. */
const TIMES = 5

test('a present file that cannot be read gives its hash thread back', async () => {
  const path = freshFolder().at('f')
  writeFileSync(path, '')
  truncateSync(path, THREAD_BYTES)
  // A whole second of the past, as that of a file with the server's date.
  utimesSync(path, 1000, 1000)
  await using file = await open(path)
  const read = mock.method(Object.getPrototypeOf(file), 'read', () =>
    Promise.reject(new Error('EIO')),
  )
  const settings = settingsOf({ sha256: true })
  for (let i = 0; i < TIMES; i++) {
    await assert.rejects(presentFile({ path, regular: true, mode: 0o600 }, settings), /EIO/)
  }
  assert.equal(read.mock.callCount(), TIMES)
  read.mock.restore()
  const thread = HashThread.take()
  assert.ok(thread !== undefined)
  thread.end()
})
