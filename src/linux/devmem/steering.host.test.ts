// Rules for flows on cards that are played: each at a queue of its own, and of connections that come later.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import { checkIfindex } from '../sys/index.ts'
import { BNXT, GVE, ModelCard } from './card-models.test.helper.ts'
import { setUpQueues } from './queue-setup.ts'
import { undoAll } from './undo.ts'
import { UndoJournal } from './undo-journal.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const folder = mkdtempSync(join(tmpdir(), 'netmem-steering-'))
after(() => rmSync(folder, { recursive: true }))
const IFINDEX = checkIfindex(3)

const port = (destinationPort: number, queue?: number) => ({
  type: 'tcp4' as const,
  destinationPort,
  ...(queue === undefined ? {} : { queue }),
})

it('a flow that names a queue goes there, without a context', { skip }, async () => {
  const card = new ModelCard(BNXT)
  const before = card.state
  const journal = UndoJournal.create(folder, IFINDEX)
  const { setup } = await setUpQueues(card, journal, [6, 7], [port(5201, 7), port(5202, 6)])
  assert.equal(setup.context, undefined)
  assert.deepEqual(
    setup.rules.map(({ match, target }) => [match, target]),
    [
      [port(5201), { queue: 7 }],
      [port(5202), { queue: 6 }],
    ],
  )
  await undoAll(card, journal)
  assert.deepEqual(card.state, before)
})

it('rules of later connections are made one after the other, deleted once, and undone', {
  skip,
}, async () => {
  const card = new ModelCard(GVE)
  const before = card.state
  const journal = UndoJournal.create(folder, IFINDEX)
  const { steering } = await setUpQueues(card, journal, [2, 3], [port(5201)])
  const rules = await Promise.all(
    [1, 2, 3].map((sourcePort) => steering.add({ ...port(5201), sourcePort })),
  )
  assert.deepEqual(
    rules.map(({ target }) => target),
    [{ queue: 3 }, { queue: 2 }, { queue: 3 }],
  )
  assert.equal((await card.rules()).length, 4)
  const [first] = rules
  assert.ok(first !== undefined)
  await Promise.all([steering.delete(first), steering.delete(first)])
  assert.equal((await card.rules()).length, 3)
  assert.equal(journal.steps.filter(({ kind }) => kind === 'rule').length, 3)
  await undoAll(card, journal)
  assert.deepEqual(card.state, before)
  assert.deepEqual(readdirSync(folder), [])
})

it('rules turn the feature on that a card without flows was left without, once', {
  skip,
}, async () => {
  const card = new ModelCard(GVE)
  const before = card.state
  const journal = UndoJournal.create(folder, IFINDEX)
  const { steering } = await setUpQueues(card, journal, [2, 3], [])
  await Promise.all([1, 2].map((sourcePort) => steering.add({ ...port(5201), sourcePort })))
  assert.equal(card.changes.filter((change) => change === 'rx-ntuple-filter on').length, 1)
  assert.deepEqual(
    journal.steps.map(({ kind }) => kind),
    ['rings', 'table', 'feature', 'rule', 'rule'],
  )
  await undoAll(card, journal)
  assert.deepEqual(card.state, before)
})

it('a rule that is refused leaves the others, and no trace', { skip }, async () => {
  const card = new ModelCard(GVE)
  const before = card.state
  const journal = UndoJournal.create(folder, IFINDEX)
  const { steering } = await setUpQueues(card, journal, [3], [port(5201)])
  const { steps } = journal
  card.failAt = { change: 'rule for 5202 to queue 3', how: 'refused' }
  await assert.rejects(steering.add(port(5202)), failsWith('NETMEM_SYSCALL_FAILED'))
  assert.deepEqual(journal.steps, steps)
  await steering.add(port(5203))
  await undoAll(card, journal)
  assert.deepEqual(card.state, before)
})
