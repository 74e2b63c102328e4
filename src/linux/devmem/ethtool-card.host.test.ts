// prepareQueues() down to the messages of netlink and the structs of the ioctl, with a kernel that is
// played: the exchanges with gve, bnxt and mlx5.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { isNetmemError } from '../../errors.ts'
import type { FlowMatch } from '../../wire/flow-rules.ts'
import { checkIfindex } from '../sys/index.ts'
import { CardKernel } from './card-kernel.test.helper.ts'
import { BNXT, type CardExchange, GVE, MLX5, ModelCard } from './card-models.test.helper.ts'
import { setUpQueues } from './queue-setup.ts'
import { undoAll } from './undo.ts'
import { UndoJournal } from './undo-journal.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const folder = mkdtempSync(join(tmpdir(), 'netmem-card-'))
after(() => rmSync(folder, { recursive: true }))

const IFINDEX = checkIfindex(4)
const FLOWS: readonly FlowMatch[] = [
  { type: 'tcp4', destinationPort: 5201 },
  { type: 'tcp6', sourceAddress: '2001:db8::1', sourcePort: 7, destinationPort: 5202 },
]
const MATCHES = [
  '{"match":{"type":"tcp4","destinationPort":5201}',
  '{"match":{"type":"tcp6","sourceAddress":"2001:db8::1","sourcePort":7,"destinationPort":5202}',
]
const feature = (name: string, value: boolean): string =>
  `features-set {"wanted":{"bits":{"bit":[{"name":"${name}"${value ? ',"value":true' : ''}}]}}}`

const EXCHANGES: readonly CardExchange[] = [
  {
    model: GVE,
    queues: [2, 3],
    set: [
      'rings-set {"tcp-data-split":"enabled"}',
      feature('rx-ntuple-filter', true),
      'rss-set {"indir":"0,1 in 128"}',
      // gve has no contexts.
      'rss-create-act {"indir":"2,3 in 128"}',
      `rule 63 ${MATCHES[0]},"target":{"queue":2}}`,
      `rule 62 ${MATCHES[1]},"target":{"queue":3}}`,
    ],
    undone: [
      'rule 62 deleted',
      'rule 63 deleted',
      'rss-set {"indir":" in 0"}',
      feature('rx-ntuple-filter', false),
      'rings-set {"tcp-data-split":"disabled"}',
    ],
  },
  {
    model: BNXT,
    queues: [6, 7],
    set: [
      'rings-set {"tcp-data-split":"enabled","hds-thresh":0}',
      'rss-set {"indir":"0,1,2,3,4,5 in 512"}',
      'rss-create-act {"indir":"6,7 in 512"}',
      `rule 63 ${MATCHES[0]},"target":{"rssContext":1}}`,
      `rule 62 ${MATCHES[1]},"target":{"rssContext":1}}`,
    ],
    undone: [
      'rule 62 deleted',
      'rule 63 deleted',
      'rss-delete-act {"context":1}',
      'rss-set {"indir":" in 0"}',
      // bnxt refuses the first of the two.
      'rings-set {"tcp-data-split":"disabled","hds-thresh":256}',
      'rings-set {"tcp-data-split":"unknown","hds-thresh":256}',
    ],
  },
  {
    model: MLX5,
    queues: [7],
    set: [
      // mlx5 refuses it without hardware GRO.
      'rings-set {"tcp-data-split":"enabled"}',
      feature('rx-gro-hw', true),
      'rings-set {"tcp-data-split":"enabled"}',
      feature('rx-ntuple-filter', true),
      'rss-set {"indir":"0,1,2,3,4,5,6 in 256"}',
      `rule 63 ${MATCHES[0]},"target":{"queue":7}}`,
      `rule 62 ${MATCHES[1]},"target":{"queue":7}}`,
    ],
    undone: [
      'rule 62 deleted',
      'rule 63 deleted',
      'rss-set {"indir":" in 0"}',
      feature('rx-ntuple-filter', false),
      'rings-set {"tcp-data-split":"disabled","hds-thresh":0}',
      feature('rx-gro-hw', false),
    ],
  },
]

describe('EthtoolCard', { skip }, () => {
  for (const { model, queues, set, undone } of EXCHANGES) {
    it(`has this exchange with ${model.name}`, async () => {
      const card = new ModelCard(model)
      const before = card.state
      const kernel = new CardKernel(card, IFINDEX)
      const ethtool = kernel.open()
      const journal = UndoJournal.create(folder, IFINDEX)
      const { setup } = await setUpQueues(ethtool, journal, queues, FLOWS)
      assert.deepEqual(kernel.exchange.splice(0), set)
      assert.deepEqual(
        setup.rules.map(({ location, match }) => [location, match]),
        [
          [63, FLOWS[0]],
          [62, FLOWS[1]],
        ],
      )
      await undoAll(ethtool, UndoJournal.open(folder, IFINDEX))
      assert.deepEqual(kernel.exchange, undone)
      assert.deepEqual(card.state, before)
      assert.deepEqual(readdirSync(folder), [])
      ethtool[Symbol.dispose]()
    })
  }

  it('says when a driver takes a wish, and does not fulfil it', async () => {
    const card = new ModelCard(GVE)
    card.setFeature = async () => undefined
    const ethtool = new CardKernel(card, IFINDEX).open()
    await assert.rejects(ethtool.setFeature('rx-ntuple-filter', true), (error) => {
      assert.ok(isNetmemError(error))
      assert.equal(error.code, 'NETMEM_DEVMEM_FEATURE')
      return true
    })
    ethtool[Symbol.dispose]()
  })

  it('tells features that cannot change from those that can', async () => {
    const ethtool = new CardKernel(new ModelCard({ ...GVE, features: {} }), IFINDEX).open()
    assert.equal(await ethtool.feature('rx-checksum'), true, 'on for good')
    assert.equal(await ethtool.feature('rx-gro-hw'), undefined, 'the driver lacks it')
    ethtool[Symbol.dispose]()
  })

  it('knows a card without a table, and one without header split', async () => {
    const model = { ...GVE, tableSize: undefined, splitAtFirst: undefined }
    const ethtool = new CardKernel(new ModelCard(model), IFINDEX).open()
    assert.equal(await ethtool.table(), undefined)
    assert.deepEqual(await ethtool.rings(), { tcpDataSplit: undefined, hdsThresh: undefined })
    assert.equal((await ethtool.contexts()).size, 0)
    ethtool[Symbol.dispose]()
  })
})
