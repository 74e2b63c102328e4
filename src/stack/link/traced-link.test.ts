import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbered, numberOf, numbersBy } from './frames.test.helper.ts'
import { createLinkPair } from './link-pair.ts'
import { tracedLink } from './traced-link.ts'

test('a trace sees every frame both ways, and the link is as it was', () => {
  const [left, right] = createLinkPair({ delayNs: 10 })
  const seen: string[] = []
  const link = tracedLink(right, (frame, direction) => {
    seen.push(`${direction} ${numberOf(frame)}`)
  })
  left.transmit(numbered(1), 0)
  left.transmit(numbered(2), 5)
  assert.equal(link.nextAtNs(), 10)
  assert.equal(link.receive(9), undefined)
  assert.deepEqual(numbersBy(link, 15), [1, 2])
  link.transmit(numbered(3), 20)
  assert.deepEqual(numbersBy(left, 30), [3])
  assert.deepEqual(seen, ['received 1', 'received 2', 'transmitted 3'])
  assert.equal(link.ended, false)
  link.close()
  assert.equal(link.ended && left.ended, true)
})
