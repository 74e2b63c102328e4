/** `netmem devmem send`: sends out of device memory, without a copy by the kernel. */

import { Command } from 'commander'
import { createPool, hostProvider } from '../../index.ts'
import {
  bindTx,
  connectDevmem,
  type DevmemBinding,
  type DevmemConnection,
} from '../../linux/index.ts'
import { parseEndpoint } from '../endpoint.ts'
import { EXIT_CODES, SIZES, usage } from '../exit.ts'
import { patternOption, sizeOption, withJson } from '../options.ts'
import type { Output } from '../output.ts'
import type { PatternName } from '../pattern.ts'
import { type Outcome, run } from '../run.ts'
import { sendSource } from '../send/send-source.ts'
import { checkSource, type Source, sourceOf } from '../send/source.ts'
import { ifindexOf } from './interface.ts'
import { makeDmaBuf } from './memory.ts'
import { dmaBufSizeOption, parseDmaBuf } from './parse.ts'

interface SendOptions {
  readonly bytes?: number
  readonly pattern?: PatternName
  readonly size: number
  readonly dmabuf: string
  readonly json?: true
}

/** Largest view that a source has. */
const SLOT_BYTES: number = 2 ** 20
/** Pages for replies, which are discarded. */
const POOL = { pages: 4, pageSize: 64 * 1024 }

const HELP = `
Fills the memory with a file, stdin or a pattern and sends it by the interface, as much at a time as fits. It
ends when the peer has closed its side. Takes no right.

Examples:
  $ netmem devmem send eth0 192.0.2.7:5201 disk.img
  $ netmem devmem send eth0 192.0.2.7:5201 --bytes 1GB --pattern 7
  $ netmem devmem send eth0 192.0.2.7:5201 --bytes 64MiB --pattern ncdevmem     there: ncdevmem -l -v 7

${SIZES}

${EXIT_CODES}`

export function sendCommand(): Command {
  const command = new Command('send')
    .description('send a file, stdin or a pattern out of device memory')
    .argument('<interface>', 'name of the network interface')
    .argument('<host:port>', 'where to; IPv6 in brackets: [2001:db8::7]:5201')
    .argument('[file]', 'what; - or nothing is stdin')
    .addOption(sizeOption('--bytes <size>', 'send as many bytes of a pattern'))
    .addOption(patternOption('the seed of that pattern, 1 by default'))
    .addOption(dmaBufSizeOption('memory to send from'))
    .option('--dmabuf <kind>', 'udmabuf, or heap:NAME', parseDmaBuf, 'udmabuf')
    .addHelpText('after', HELP)
  return withJson(command).action(
    (name: string, where: string, file: string | undefined, options: SendOptions) =>
      run('devmem send', { json: options.json === true }, (output, signal) =>
        send({ name, where, file }, options, output, signal),
      ),
  )
}

interface Target {
  readonly name: string
  readonly where: string
  readonly file: string | undefined
}

async function send(
  { name, where, file }: Target,
  options: SendOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const { host, port } = parseEndpoint(where)
  if (options.size < SLOT_BYTES) throw usage('--size is 1MiB at least.')
  checkSource(file, options)
  const ifindex = await ifindexOf(name)
  const source = await sourceOf(file, options)
  using dmabuf = makeDmaBuf(options.dmabuf, options.size)
  using mapping = dmabuf.map()
  using binding = await bindTx({ ifindex, dmabuf })
  const pool = createPool(hostProvider(POOL))
  const connection = await connectDevmem({ pool, binding, host, port, signal })
  const sent = await sendSource(
    {
      connection,
      source,
      send: () => sendAll(connection, binding, source, mapping.bytes),
      bytes: () => connection.bytesWritten,
    },
    output,
    signal,
  )
  await pool.destroy()
  return { ...sent, report: { ...sent.report, devmem: connection.stats() } }
}

/** Sends a source through the memory, slot by slot. A slot is filled again when the peer has it. */
async function sendAll(
  connection: DevmemConnection,
  binding: DevmemBinding,
  source: Source,
  memory: Uint8Array,
): Promise<void> {
  const slots = Math.floor(memory.length / SLOT_BYTES)
  const sent = new Array<Promise<void> | undefined>(slots).fill(undefined)
  let slot = 0
  for await (const view of source.views) {
    for (let at = 0; at < view.byteLength; at += SLOT_BYTES) {
      await sent[slot]
      const piece = view.subarray(at, at + SLOT_BYTES)
      const offset = slot * SLOT_BYTES
      const access = binding.dmabuf.sync('write')
      memory.set(piece, offset)
      access.end()
      const done = connection.sendDevice(binding, offset, piece.byteLength)
      // Its failure is found when the slot is wanted again, or at the end.
      done.catch(() => undefined)
      sent[slot] = done
      slot = (slot + 1) % slots
    }
  }
  await Promise.all(sent)
}
