import assert from 'node:assert/strict'
import { utimesSync } from 'node:fs'
import { test } from 'node:test'
import { freshFolder } from '../../http.test.helper.ts'
import { OwnedPart } from './owned-part.ts'
import { leftoversOf } from './part-leftovers.ts'
import { notePath } from './part-name.ts'

const any = (): boolean => true

test('a part that was claimed a moment ago is no silent one, however old its note was', async () => {
  const target = freshFolder().at('f')
  const made = await OwnedPart.make(target)
  await made.write({ inode: '1' })
  await made.free()
  const [free] = await leftoversOf(target, 'always')
  assert.ok(free !== undefined)
  utimesSync(notePath(free), 0, 0)
  const claimed = await OwnedPart.claim(free, any)
  assert.ok(claimed !== undefined)
  // The owner has no socket before show(), so that its note alone tells that it lives.
  const [owned] = await leftoversOf(target, 'always')
  assert.ok(owned !== undefined)
  assert.equal(await OwnedPart.claim(owned, any), undefined)
  await claimed.close()
})
