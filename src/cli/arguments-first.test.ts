// Wrong arguments are told before anything that the machine lacks: koffi, an interface, dma-bufs.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { some } from '../testing/pools.test.helper.ts'
import { runInTurn, runWithoutKoffi, temporaryFolder } from './cli.test.helper.ts'

const folder = temporaryFolder()('.')
const prepare = ['devmem', 'prepare', 'none-such', '--socket', 'x', '--queues']
const recv = ['devmem', 'recv', 'none-such', '--queues']
const send = ['devmem', 'send', 'none-such']
const card = ['--interface', 'none-such', '--queues']

/** Command lines, and the words of their refusal. */
const WRONG: readonly (readonly [readonly string[], RegExp])[] = [
  [['devmem', 'prepare', 'none-such', '--socket', 'x'], /--queues/],
  [['devmem', 'prepare', 'none-such', '--queues', '0'], /--socket/],
  [[...prepare, '1,b'], /a list such as 2,3.*netmem devmem prepare --help/],
  [[...prepare, '1,1'], /--queues.*has 1 twice/],
  [[...prepare, '1', '--port', '0'], /--port.*1 to 65535/],
  [[...prepare, '1', '--port', '80,80'], /--port.*has 80 twice/],
  [[...prepare, '1', '--size', '5000'], /--size.*whole memory pages of 4KiB/],
  [[...prepare, '1', '--dmabuf', 'gpu'], /--dmabuf.*heap:/],
  [[...prepare, '1', '--user', 'none-such'], /There is no user none-such/],
  [[...prepare, '1', '--socket', 'x'.repeat(108)], /--socket.*1 to 107 bytes, not of 108/],
  [[...recv, '1,1'], /--queues.*has 1 twice/],
  [[...recv, '1', '--port', '0'], /no port: 1 to 65535/],
  [[...recv, '1', '--size', '5000'], /whole memory pages/],
  [[...send, '127.0.0.1', '--bytes', '1'], /not HOST:PORT/],
  [[...send, '127.0.0.1:1', '--pattern', '7'], /--pattern has no end/],
  [[...send, '127.0.0.1:1', 'file', '--bytes', '1'], /Either a file/],
  [[...send, '127.0.0.1:1', '--bytes', '1', '--size', '4KiB'], /--size is 1MiB/],
  [['iperf3', '--memory', 'devmem'], /needs --interface and --queues/],
  [['iperf3', '--memory', 'devmem', ...card, '1,1'], /--queues.*has 1 twice/],
  [['iperf3', '--memory', 'devmem', ...card, '1', '--pool', '5000'], /--pool 5000B.*whole memory/],
  [['iperf3', '--memory', 'udmabuf', ...card, '1'], /are for --memory devmem/],
  [['recv', '--memory', 'udmabuf', '--out', 'file'], /add --once/],
  [['recv', '--memory', 'udmabuf', '--once', '--out', folder], /is a folder/],
  [['recv', '--memory', 'udmabuf', '--page-size', '5000'], /power of two/],
  [['demo', '--memory', 'udmabuf', '--bytes', '1', '--corrupt', '1'], /--corrupt 1B is beyond/],
  [['gvnic', '--socket', 'a.sock', '--socket', './a.sock'], /twice, with different paths/],
  [['gvnic', '--socket', '', '--socket', 'a.sock'], /--socket.*1 to 107 bytes, not of 0/],
  [['gvnic', '--socket', 'a.sock', '--link', 'tap:a-name-far-too-long'], /name has 1 to 15 bytes/],
  [['replay', 'none-such.pcap', '--memory', 'device', '--header-split', 'off'], /headers split/],
]

describe('wrong arguments', async () => {
  const ends = await runInTurn(WRONG.map(([args]) => args))
  for (const [at, [args, words]] of WRONG.entries()) {
    const shown = args.map((word) => (word.length > 100 ? `${word.length} bytes` : word))
    it(`are told first: netmem ${shown.join(' ')}`, () => {
      const { code, err } = some(ends[at])
      assert.match(err, /^netmem: USAGE: /)
      assert.match(err, words)
      assert.equal(code, 2)
    })
  }
})

/** Calls with an argument that is wrong, and all else right as far as it can be here. */
const CALLS = `
  import { adoptDevmem, adoptDmaBuf, bindRx, bindTx, connectDevmem, createDmaHeapBuffer } from 'LINUX'
  import { createUdmabuf, dmaHeapProvider, hugeMemory, listenDevmem, offerDmaBuf } from 'LINUX'
  import { openFlowRules, openNetlink, prepareQueues, receiveDmaBuf, udmabufProvider } from 'LINUX'
  import { undoQueues } from 'LINUX'
  import { openCard, openWiredCards } from 'GVNIC'
  const long = 'x'.repeat(108)
  const calls = [
    () => createUdmabuf({ bytes: 5000 }),
    () => udmabufProvider({ pages: 1, pageSize: 5000 }),
    () => createDmaHeapBuffer({ bytes: 4096, heap: '../x' }),
    () => dmaHeapProvider({ pages: 0 }),
    () => adoptDmaBuf(-1),
    () => offerDmaBuf({ path: 'x', dmabuf: {} }),
    () => receiveDmaBuf(long),
    () => bindRx({ ifindex: 1, queues: [0], dmabuf: {} }),
    () => bindTx({ ifindex: 1, dmabuf: {} }),
    () => prepareQueues({ ifindex: 1, queues: [1, 1] }),
    () => prepareQueues({ ifindex: 1, queues: [1], flows: [{ type: 'tcp4', port: 80 }] }),
    () => prepareQueues({ ifindex: 1, queues: [1], stateFolder: 5 }),
    () => undoQueues({ ifindex: 1, stateFolder: 5 }),
    () => listenDevmem({ port: 1 }),
    () => connectDevmem({ host: 'x', port: 1 }),
    () => adoptDevmem({}),
    () => openNetlink({ netns: 5 }),
    () => openNetlink({ receiveBufferBytes: -1 }),
    () => openFlowRules({ ifindex: 1, netns: '' }),
    () => hugeMemory(-1),
    () => openCard({ socket: long, link: { kind: 'tap', name: 'tap0' } }),
    () => openWiredCards({ sockets: ['x', long] }),
  ]
  for (const call of calls) {
    try { await call(); console.log('it worked') } catch ({ code }) { console.log(code, String(call)) }
  }`

it('wrong arguments of functions are told first', async () => {
  const place = (path: string): string => new URL(path, import.meta.url).href
  const script = CALLS.replaceAll("'LINUX'", `'${place('../linux/index.js')}'`)
  const { out, err } = await runWithoutKoffi([
    ...['--input-type=module', '--eval'],
    script.replace("'GVNIC'", `'${place('../gvnic/index.js')}'`),
  ])
  assert.equal(err, '')
  const lines = out.toString().trim().split('\n')
  assert.equal(lines.length, 22)
  for (const line of lines) {
    assert.match(line, /^NETMEM_(INVALID_ARGUMENT|OUT_OF_RANGE|DMABUF_UNALIGNED) /)
  }
})
