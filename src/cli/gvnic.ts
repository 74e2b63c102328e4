/** `netmem gvnic`: network cards for guests in QEMU, which need no hardware. */

import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { type CardLook, openWiredCards } from '../gvnic/index.ts'
import { EXIT_CODES, usage } from './exit.ts'
import { argument, parseCount, withJson } from './options.ts'
import type { Output } from './output.ts'
import { type Outcome, run } from './run.ts'

const HELP = `
Each card listens on a socket, and QEMU 10.1 or newer connects to it when it starts. The command prints
the options for QEMU. The guest's own driver, gve, drives the cards: devmem TCP works with them on an
unmodified kernel (seen with Linux 7.3, CONFIG_NET_DEVMEM and CONFIG_GVE). Both cards may be in one
guest: move one interface into a network namespace.

Examples:
  $ netmem gvnic --socket /tmp/a.sock --socket /tmp/b.sock
  $ netmem gvnic --socket /tmp/a.sock --socket /tmp/b.sock --mtu 4148 --loss 0.01 --seed 7 --json

${EXIT_CODES}
It serves until a signal ends it.`

interface GvnicCommandOptions {
  readonly socket: readonly string[]
  readonly queues: number
  readonly mtu: number
  readonly loss?: number
  readonly seed: number
  readonly json?: true
}

/** Ms between two looks at the cards. */
const LOOK_MS = 1000

export function gvnicCommand(): Command {
  const command = new Command('gvnic')
    .description('network cards for guests in QEMU, on which devmem TCP works without hardware')
    .requiredOption('--socket <path>', 'socket of a card; give it twice', collect, [])
    .option('--queues <number>', 'of each card, each way: 1 to 16', argument(parseCount(1, 16)), 4)
    .option('--mtu <bytes>', 'of the interfaces: 68 to 9000', argument(parseCount(68, 9000)), 1500)
    .option('--loss <part>', 'part of the frames that are lost: 0 to 1', argument(parseFraction))
    .option('--seed <number>', 'of the losses', argument(parseCount(0, 2 ** 32 - 1)), 0)
    .addHelpText('after', HELP)
  return withJson(command).action((options: GvnicCommandOptions) =>
    run('gvnic', { json: options.json === true }, (output, signal) =>
      serve(output, options, signal),
    ),
  )
}

async function serve(
  output: Output,
  options: GvnicCommandOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const { queues, mtu, loss = 0, seed } = options
  const sockets = options.socket.map((path) => resolve(path))
  if (sockets.length !== 2) {
    throw usage('Two cards are wired to each other: give --socket twice.')
  }
  await using cards = await openWiredCards({
    ...{ sockets, queues, mtu, loss, seed },
    onRefused: (socket, code, message) =>
      output.complain({ code, message: `${socket}: ${message}` }),
  })
  for (const line of qemuOptions(sockets)) output.result(line)
  output.report({ command: 'gvnic', event: 'listening', qemu: qemuOptions(sockets) })
  let before = ''
  let looks: readonly CardLook[] = []
  const end = new Promise<void>((ended) => signal.addEventListener('abort', () => ended()))
  while (!signal.aborted) {
    looks = await cards.look()
    const now = JSON.stringify(looks)
    if (now !== before) {
      for (const line of looks.map(describe)) output.result(line)
      output.report({ command: 'gvnic', event: 'look', cards: looks })
      before = now
    }
    await Promise.race([
      sleep(LOOK_MS, undefined, { signal }).catch(() => undefined),
      end,
      cards.closed,
    ])
  }
  return { report: { cards: looks } }
}

/** Returns the options of QEMU for a guest with all cards. */
function qemuOptions(sockets: readonly string[]): string[] {
  const memory = [
    '-object memory-backend-memfd,id=mem,size=2G,share=on',
    '-machine q35,memory-backend=mem',
  ]
  const devices = sockets.map((path) => {
    const device = { driver: 'vfio-user-pci', socket: { path, type: 'unix' } }
    return `-device '${JSON.stringify(device)}'`
  })
  return [...memory, ...devices]
}

function describe({ socket, connected, state, stats }: CardLook): string {
  if (!connected) return `${socket}: no machine`
  const { rx_packets, rx_bytes, rx_hw_drops, tx_packets, tx_bytes } = stats.device
  const driver = state.running ? `driver ${state.driverVersion}` : 'no driver'
  return `${socket}: ${driver}, ${state.rxQueues.length} RX and ${state.txQueues.length} TX queues, ${state.flowRules} rules; received ${rx_packets} packets, ${rx_bytes} bytes, dropped ${rx_hw_drops}; sent ${tx_packets} packets, ${tx_bytes} bytes`
}

function parseFraction(text: string): number {
  const part = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(part <= 1)) throw new RangeError('it is a number of 0 to 1')
  return part
}

function collect(path: string, before: readonly string[]): readonly string[] {
  return [...before, path]
}
