/** `netmem devmem recv`: receives into device memory, and checks what came. */

import { Command, Option } from 'commander'
import { createPool, hostProvider } from '../../index.ts'
import { bindRx, type DevmemConnection, listenDevmem, prepareQueues } from '../../linux/index.ts'
import { formatEndpoint, parsePort } from '../endpoint.ts'
import { EXIT_CODES, SIZES } from '../exit.ts'
import { argument, patternOption, sizeOption, withJson } from '../options.ts'
import type { Output } from '../output.ts'
import { Pattern, type PatternName } from '../pattern.ts'
import {
  type ReceivedBytes,
  Reception,
  type ReceptionOptions,
  type ReceptionSource,
} from '../recv/reception.ts'
import { Tally } from '../recv/tally.ts'
import { type Outcome, run } from '../run.ts'
import { exactSize } from '../size.ts'
import { ifindexOf } from './interface.ts'
import { makeDmaBuf } from './memory.ts'
import { dmaBufSizeOption, parseDmaBuf, parseQueues } from './parse.ts'

interface RecvOptions {
  readonly queues: readonly number[]
  readonly port: number
  readonly host: string
  readonly size: number
  readonly dmabuf: string
  readonly linear: 'take' | 'refuse'
  readonly pattern?: PatternName
  readonly bytes?: number
  readonly sha256?: true
  readonly once?: true
  readonly json?: true
}

/** Pages for payload that comes in host memory. */
const POOL = { pages: 64, pageSize: 64 * 1024 }
const DEFAULT_PORT = 5201

const HELP = `
Prepares the card, binds memory to the queues, and receives into it. --pattern and --sha256 map the
memory to look at it. Without them the host never sees the payload. Takes CAP_NET_ADMIN.

Examples:
  # netmem devmem recv eth0 --queues 2,3 --once --sha256          elsewhere: netmem send HOST:5201 FILE
  # netmem devmem recv eth0 --queues 3 --once --pattern 1 --linear refuse

${SIZES}

${EXIT_CODES}
Without --once it serves until a signal ends it.`

export function recvCommand(): Command {
  const command = new Command('recv')
    .description('receive into device memory; verify or count the bytes')
    .argument('<interface>', 'name of the network interface')
    .requiredOption('--queues <list>', 'RX queues, such as 2,3', parseQueues)
    .option(
      '--port <number>',
      'TCP port',
      argument((text) => parsePort(text, 1)),
      DEFAULT_PORT,
    )
    .option('--host <address>', 'address of this machine', '0.0.0.0')
    .addOption(dmaBufSizeOption('memory to bind'))
    .option('--dmabuf <kind>', 'udmabuf, or heap:NAME', parseDmaBuf, 'udmabuf')
    .addOption(
      new Option('--linear <how>', 'payload that comes in host memory: take it, or refuse it')
        .choices(['take', 'refuse'])
        .default('take'),
    )
    .addOption(patternOption('verify the bytes against the pattern of this seed'))
    .addOption(
      sizeOption(
        '--bytes <size>',
        'fail unless there are exactly as many bytes (default: not counted)',
      ),
    )
    .option('--sha256', 'print their SHA-256')
    .option('--once', 'end after the first connection')
    .addHelpText('after', HELP)
  return withJson(command).action((name: string, options: RecvOptions) =>
    run('devmem recv', { json: options.json === true }, (output, signal) =>
      recv(name, options, output, signal),
    ),
  )
}

async function recv(
  name: string,
  options: RecvOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const { queues, port, host, sha256 = false } = options
  const ifindex = await ifindexOf(name)
  using dmabuf = makeDmaBuf(options.dmabuf, options.size)
  const looks = sha256 || options.pattern !== undefined
  using mapping = looks ? dmabuf.map() : undefined
  const flows = (['tcp4', 'tcp6'] as const).map((type) => ({ type, destinationPort: port }))
  // In this order, since they end in the reverse: the card is restored when nothing is bound to it.
  await using _prepared = await prepareQueues({ ifindex, queues, flows })
  using binding = await bindRx({ ifindex, queues, dmabuf })
  const pool = createPool(hostProvider(POOL))
  const strict = options.linear === 'refuse'
  await using listener = await listenDevmem({ pool, binding, host, port, strict, signal })
  output.note(
    `netmem: listening on ${formatEndpoint(listener.address)} of ${name}, queues ${queues.join(',')}, binding ${binding.id} of ${exactSize(dmabuf.bytes)}`,
  )
  const reception: ReceptionOptions = {
    sink: undefined,
    pattern: options.pattern === undefined ? undefined : new Pattern(options.pattern),
    sha256,
    bytes: options.bytes,
  }
  const tally = new Tally('devmem recv', output)
  const stop = output.progress({
    label: 'received',
    totalBytes: options.bytes,
    bytes: () => tally.bytes,
  })
  for await (const connection of listener) {
    tally.add(new Reception(mapped(connection, mapping?.bytes), reception), signal)
    if (options.once === true) break
  }
  await listener.close()
  await tally.settled()
  stop()
  if (tally.connections === 0) output.note('netmem: stopped before any connection came')
  await pool.destroy()
  return { report: tally.report(), failure: tally.error }
}

/** Makes a connection whose frags have bytes: those of the mapped memory, or zeros that only count. */
function mapped(connection: DevmemConnection, memory: Uint8Array | undefined): ReceptionSource {
  async function* frags(): AsyncGenerator<ReceivedBytes, void, void> {
    for await (const frag of connection) {
      if (frag.kind === 'page') {
        yield frag
        continue
      }
      const { offset, length } = frag
      const bytes =
        memory === undefined ? UNSEEN.subarray(0, length) : memory.subarray(offset, offset + length)
      yield { bytes, release: () => frag.release() }
    }
  }
  return {
    remoteAddress: connection.remoteAddress,
    pool: connection.pool ?? createPool(hostProvider(POOL)),
    devmem: () => {
      connection.flush()
      return connection.stats()
    },
    close: () => connection.close(),
    destroy: (reason) => connection.destroy(reason),
    [Symbol.asyncIterator]: frags,
  }
}

/** Stands for bytes that the host does not see. No net_iov is larger. */
const UNSEEN = new Uint8Array(2 ** 21)
