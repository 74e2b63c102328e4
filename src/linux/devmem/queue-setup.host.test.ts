import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import { firstOutput } from '../../testing/processes.test.helper.ts'
import { checkIfindex } from '../sys/index.ts'
import { BNXT, type CardExchange, GVE, Killed, MLX5, ModelCard } from './card-models.test.helper.ts'
import { type QueueSetup, setUpQueues } from './queue-setup.ts'
import type { FlowSteering, SteeredFlow } from './steering.ts'
import { undoAll } from './undo.ts'
import { UndoJournal } from './undo-journal.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const folder = mkdtempSync(join(tmpdir(), 'netmem-journal-'))
after(() => rmSync(folder, { recursive: true }))

const IFINDEX = checkIfindex(3)
const FLOWS: readonly SteeredFlow[] = [
  { type: 'tcp4', destinationPort: 5201 },
  { type: 'tcp4', destinationPort: 5202 },
  { type: 'tcp4', destinationPort: 5203 },
]

/** Name of the journal's file. */
const name = `devmem-${/\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0]}-${IFINDEX}.json`

/** Prepares a card, and leaves the journal as a process that undoes nothing. */
async function prepare(
  card: ModelCard,
  queues: readonly number[],
  flows = FLOWS,
): Promise<QueueSetup & { readonly steering: FlowSteering }> {
  const journal = UndoJournal.create(folder, IFINDEX)
  const { setup, steering } = await setUpQueues(card, journal, queues, flows)
  return { ...setup, steering }
}

/** Undoes in the way of `netmem devmem undo`, after the process that prepared has gone. */
async function undo(card: ModelCard): Promise<void> {
  card.restart()
  await undoAll(card, UndoJournal.open(folder, IFINDEX))
}

const CONTEXT_RULES = [
  'context over 6,7',
  'rule for 5201 to context 1',
  'rule for 5202 to context 1',
  'rule for 5203 to context 1',
]
const RULES_UNDONE = ['rule 61 deleted', 'rule 62 deleted', 'rule 63 deleted']

/** Changes that each driver is asked for, for two queues and three flows. */
const EXCHANGES: readonly CardExchange[] = [
  {
    model: GVE,
    queues: [2, 3],
    set: [
      'rings enabled',
      'rx-ntuple-filter on',
      'table 0,1',
      'rule for 5201 to queue 2',
      'rule for 5202 to queue 3',
      'rule for 5203 to queue 2',
    ],
    undone: [...RULES_UNDONE, 'table default', 'rx-ntuple-filter off', 'rings disabled'],
  },
  {
    model: BNXT,
    queues: [6, 7],
    set: ['rings enabled thresh 0', 'table 0,1,2,3,4,5', ...CONTEXT_RULES],
    undone: [...RULES_UNDONE, 'context 1 deleted', 'table default', 'rings unknown thresh 256'],
  },
  {
    model: MLX5,
    queues: [6, 7],
    set: [
      'rx-gro-hw on',
      'rings enabled',
      'rx-ntuple-filter on',
      'table 0,1,2,3,4,5',
      ...CONTEXT_RULES,
    ],
    undone: [
      ...RULES_UNDONE,
      'context 1 deleted',
      'table default',
      'rx-ntuple-filter off',
      'rings disabled thresh 0',
      'rx-gro-hw off',
    ],
  },
]

describe('prepareQueues on models of cards', { skip }, () => {
  for (const { model, queues, set, undone } of EXCHANGES) {
    it(`asks ${model.name} for its settings, in its order, and takes all of them back`, async () => {
      const card = new ModelCard(model)
      const before = card.state
      const setup = await prepare(card, queues)
      assert.deepEqual(card.changes.splice(0), set)
      assert.deepEqual(
        setup.rules.map(({ location }) => location),
        [63, 62, 61],
      )
      assert.equal(setup.exclusive, true)
      assert.equal(setup.numaNode, 1)
      assert.deepEqual(
        setup.queues,
        queues.map((queue) => ({ queue, irq: 100 + queue, affinity: `${queue}` })),
      )
      await undo(card)
      assert.deepEqual(card.changes, undone)
      assert.deepEqual(card.state, before)
      assert.deepEqual(readdirSync(folder), [], 'the journal is gone')
    })

    for (const change of set) {
      it(`${model.name}: "${change}" is refused, and everything before it is undone`, async () => {
        const card = new ModelCard(model)
        const before = card.state
        card.failAt = { change, how: 'refused' }
        await assert.rejects(prepare(card, queues), failsWith('NETMEM_SYSCALL_FAILED'))
        assert.deepEqual(card.state, before)
        assert.deepEqual(readdirSync(folder), [])
      })

      for (const how of ['killed before', 'killed after'] as const) {
        it(`${model.name}: ${how} "${change}", undo restores the card`, async () => {
          const card = new ModelCard(model)
          const before = card.state
          card.failAt = { change, how }
          // A killed process would run nothing more, so the journal of that moment counts.
          let journal = ''
          card.onKilled = () => {
            journal = readFileSync(join(folder, name), 'utf8')
          }
          await assert.rejects(prepare(card, queues), Killed)
          writeFileSync(join(folder, name), journal)
          await undo(card)
          assert.deepEqual(card.state, before)
          assert.deepEqual(readdirSync(folder), [])
        })
      }
    }
  }

  it('names one queue in rules, and makes no context for it', async () => {
    const card = new ModelCard(BNXT)
    await prepare(card, [7], [{ type: 'tcp4', destinationPort: 5201 }])
    assert.ok(card.changes.includes('rule for 5201 to queue 7'), card.changes.join())
    await undo(card)
  })

  it('keeps a table that the administrator has set', async () => {
    const card = new ModelCard(GVE)
    const table = Array.from({ length: 128 }, (_, index) => (index < 64 ? 0 : 3))
    await card.setTable(table)
    await prepare(card, [3], [])
    assert.ok((await card.table())?.every((queue) => queue !== 3))
    await undo(card)
    assert.deepEqual(await card.table(), table)
  })

  it('leaves rules of others, though they have the place of ours', async () => {
    const card = new ModelCard(GVE)
    await prepare(card, [3], [{ type: 'tcp4', destinationPort: 5201 }])
    await card.deleteRule(63)
    const other = { match: { type: 'tcp4', destinationPort: 80 }, target: { queue: 1 } } as const
    assert.equal(await card.insertRule(other), 63)
    const { feature } = card
    card.feature = async (name) => (name === 'rx-ntuple-filter' ? false : feature.call(card, name))
    await undo(card)
    assert.deepEqual(
      (await card.rules()).map(({ rule }) => rule),
      [other],
    )
  })

  it('leaves contexts of others, though it does not know which was its own', async () => {
    const card = new ModelCard(BNXT)
    const over = (queues: readonly number[]): number[] =>
      Array.from({ length: 512 }, (_, index) => queues[index % queues.length] ?? 0)
    await card.createContext(over([6, 7]))
    let journal = ''
    card.failAt = { change: 'context over 6,7', how: 'killed after' }
    card.onKilled = () => {
      journal = readFileSync(join(folder, name), 'utf8')
    }
    await assert.rejects(prepare(card, [6, 7]), Killed)
    writeFileSync(join(folder, name), journal)
    card.restart()
    await card.createContext(over([4, 5]))
    await undo(card)
    // Ours was the second: the first was there before, and the third is over other queues.
    assert.deepEqual([...(await card.contexts()).keys()], [1, 3])
  })

  it('leaves header split alone where it was on, without a threshold', async () => {
    const card = new ModelCard({ ...BNXT, splitAtFirst: 'enabled', hdsThresh: 0 })
    await prepare(card, [7], [])
    card.changes.length = 0
    await undo(card)
    assert.deepEqual(card.changes, ['table default'])
  })

  const refusals = [
    { queues: [4], flows: FLOWS, model: GVE, wanted: 'NETMEM_DEVMEM_QUEUE' },
    { queues: [0, 1, 2, 3], flows: FLOWS, model: GVE, wanted: 'NETMEM_DEVMEM_NO_QUEUE_LEFT' },
    { queues: [0], flows: FLOWS, model: { ...GVE, queues: 0 }, wanted: 'NETMEM_DEVMEM_DOWN' },
    {
      queues: [1],
      flows: FLOWS,
      model: { ...GVE, splitAtFirst: undefined },
      wanted: 'NETMEM_DEVMEM_NO_SPLIT',
    },
    {
      queues: [1],
      flows: FLOWS,
      model: { ...GVE, features: {} },
      wanted: 'NETMEM_DEVMEM_NO_STEERING',
    },
  ]
  for (const { queues, flows, model, wanted } of refusals) {
    it(`refuses with ${wanted}, and has changed nothing`, async () => {
      const card = new ModelCard(model)
      const before = card.state
      await assert.rejects(prepare(card, queues, flows), failsWith(wanted))
      assert.deepEqual(card.state, before)
      assert.deepEqual(readdirSync(folder), [])
    })
  }

  it('says when other flows may reach the queues', async () => {
    const card = new ModelCard({ ...GVE, tableSize: undefined })
    assert.equal((await prepare(card, [3])).exclusive, false)
    await undo(card)
  })
})

describe('The journal of prepareQueues', { skip }, () => {
  it('keeps what cannot be undone while memory is bound, for another try', async () => {
    const card = new ModelCard(GVE)
    const before = card.state
    await prepare(card, [3])
    card.bound = true
    await assert.rejects(undo(card), (error) => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /memory provider enabled/)
      return failsWith('NETMEM_DEVMEM_UNDO')(error)
    })
    assert.deepEqual(
      UndoJournal.open(folder, IFINDEX).steps.map(({ kind }) => kind),
      ['rings'],
    )
    card.bound = false
    await undo(card)
    assert.deepEqual(card.state, before)
  })

  it('is empty when the interface has gone with its settings', async () => {
    const card = new ModelCard(GVE)
    await prepare(card, [3])
    card.gone = true
    await undo(card)
    assert.deepEqual(readdirSync(folder), [])
  })

  it('is one for an interface', async () => {
    const card = new ModelCard(GVE)
    await prepare(card, [3])
    assert.throws(() => UndoJournal.create(folder, IFINDEX), failsWith('NETMEM_DEVMEM_PREPARED'))
    assert.deepEqual(readdirSync(folder), [name])
    await undo(card)
    assert.throws(() => UndoJournal.open(folder, IFINDEX), failsWith('NETMEM_DEVMEM_NOT_PREPARED'))
  })

  it('belongs to a process while that runs, and to the next process afterwards', async () => {
    const journal = UndoJournal.create(folder, IFINDEX)
    const path = join(folder, name)
    const file = JSON.parse(readFileSync(path, 'utf8'))
    // The name of a process may have parentheses and blanks, and stands before its start.
    const program = "process.title = 'a) b c'; console.log('named'); process.stdin.resume()"
    const other = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
    await firstOutput(other)
    try {
      const { pid } = other
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      assert.match(stat, /^\d+ \(a\) b c\) /)
      const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
      writeFileSync(path, JSON.stringify({ ...file, pid, started }))
      assert.throws(() => UndoJournal.open(folder, IFINDEX), failsWith('NETMEM_DEVMEM_PREPARED'))
      // A process of the same number that began at another time is another process.
      writeFileSync(path, JSON.stringify({ ...file, pid, started: '1' }))
      assert.equal(UndoJournal.open(folder, IFINDEX).steps.length, 0)
    } finally {
      other.stdin.end()
    }
    await once(other, 'exit')
    const gone = spawnSync(process.execPath, ['--version']).pid
    writeFileSync(path, JSON.stringify({ ...file, pid: gone }))
    assert.equal(UndoJournal.open(folder, IFINDEX).steps.length, 0)
    journal.keep([])
  })
})

describe('UndoJournal', { skip }, () => {
  it('says what to do where the process may not write it', () => {
    const closed = mkdtempSync(join(folder, 'closed-'))
    chmodSync(closed, 0)
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.('nobody')
    try {
      assert.throws(
        () => UndoJournal.create(join(closed, 'netmem'), IFINDEX),
        failsWith('NETMEM_DEVMEM_FORBIDDEN'),
      )
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })
})
