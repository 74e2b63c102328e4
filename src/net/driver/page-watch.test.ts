// Connections with a posted page are asked until they say that it is not posted any more.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../harness.test.helper.ts'
import { type PagePoster, watchPostedPage } from './page-watch.ts'

/** Reads on for so many looks. */
class Poster implements PagePoster {
  looks = 0
  readsOn: number
  constructor(readsOn: number) {
    this.readsOn = readsOn
  }
  stillReading(): boolean {
    this.looks++
    return this.readsOn-- > 0
  }
}

test('a connection is asked until it says no, and again when it posts a page again', async () => {
  const [busy, idle] = [new Poster(5), new Poster(0)]
  for (const poster of [busy, idle, idle]) watchPostedPage(poster)
  await until(() => idle.looks === 1, 'the idle one is asked once')
  await until(() => busy.looks === 6, 'the busy one is asked until it is not')
  assert.equal(idle.looks, 1)
  watchPostedPage(idle)
  await until(() => idle.looks === 2, 'it is asked again')
})
