/** Serves the cards of `netmem gvnic`, and shows what changes. */

import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CardLink,
  type CardLook,
  type CardOptions,
  type CardServer,
  openCard,
  openWiredCards,
} from '../../gvnic/index.ts'
import { usage } from '../exit.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'

interface GvnicCommandOptions
  extends Required<Pick<CardOptions, 'queues' | 'seed'>>,
    Pick<CardOptions, 'mtu' | 'loss' | 'capture'> {
  readonly socket: readonly string[]
  readonly link: CardLink | 'pair'
}

/** Ms between two looks at the cards. */
const LOOK_MS = 1000

export async function serveCards(
  output: Output,
  signal: AbortSignal,
  options: GvnicCommandOptions,
): Promise<CommandOutcome> {
  const sockets = options.socket.map((path) => resolve(path))
  await using cards = await open(sockets, options, output)
  for (const line of qemuOptions(sockets)) output.result(line)
  output.report({ command: 'gvnic', event: 'listening', qemu: qemuOptions(sockets) })
  let before = ''
  let looks: readonly CardLook[] = []
  const end = new Promise<void>((ended) => signal.addEventListener('abort', () => ended()))
  while (!signal.aborted) {
    looks = await cards.look()
    const now = JSON.stringify(looks)
    if (now !== before) {
      for (const line of looks.flatMap(describe)) output.result(line)
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

/** Opens two wired cards, or one on another link. */
function open(
  sockets: readonly string[],
  { link, queues, mtu, loss = 0, seed, capture }: GvnicCommandOptions,
  output: Output,
): Promise<CardServer> {
  const common = {
    ...{ queues, loss, seed },
    ...(mtu === undefined ? {} : { mtu }),
    ...(capture === undefined ? {} : { capture }),
    onFault: (socket: string, code: string, message: string) =>
      output.complain({ code, message: `${socket}: ${message}` }),
  }
  const [socket = '', other] = sockets
  if (link === 'pair') {
    if (sockets.length === 2 && socket !== other) return openWiredCards({ ...common, sockets })
    throw usage('Two cards are wired to each other: give --socket twice, with different paths.')
  }
  if (sockets.length === 1) return openCard({ ...common, socket, link })
  throw usage(`There is one card on a link of the kind ${link.kind}: give --socket once.`)
}

/** Returns the options of QEMU for a guest with all cards. */
function qemuOptions(sockets: readonly string[]): string[] {
  const memory = [
    '-object memory-backend-memfd,id=mem,size=2G,share=on',
    '-machine q35,memory-backend=mem',
  ]
  const devices = sockets.map((path) => {
    const device = { driver: 'vfio-user-pci', socket: { path, type: 'unix' } }
    // Quoted for a shell, in which a quote ends the word, adds itself and begins anew.
    return `-device '${JSON.stringify(device).replaceAll("'", "'\\''")}'`
  })
  return [...memory, ...devices]
}

/** Returns lines about a card, the first one of all of it, and one for each queue that is used. */
function describe({ socket, mtu, link, connected, state, stats }: CardLook): string[] {
  const on = `${socket}, ${describeLink(link)}, MTU ${mtu}`
  if (!connected) return [`${on}: no machine`]
  const { rxQueues, txQueues, flowRules, interrupts } = state
  const { rx_hw_drops, rx_hw_drop_overruns, rx_csum_bad, tx_hw_drops } = stats.device
  const driver = state.running ? `driver ${state.driverVersion}` : 'no driver'
  const lines = [
    `${on}: ${driver}, ${rxQueues.length} RX and ${txQueues.length} TX queues, flow rules: ${flowRules}, interrupts: ${interrupts}`,
    `  dropped ${rx_hw_drops} received, ${rx_hw_drop_overruns} of them without a buffer, and ${tx_hw_drops} sent; ${rx_csum_bad} wrong checksums`,
  ]
  for (const { queue, split } of rxQueues) {
    const { rx_packets = 0, rx_bytes = 0 } = stats.rxQueues[queue] ?? {}
    const { tx_packets = 0, tx_bytes = 0 } = stats.txQueues[queue] ?? {}
    if (rx_packets + tx_packets === 0) continue
    lines.push(
      `  queue ${queue}: received ${rx_packets} packets, ${rx_bytes} bytes${split ? ', headers split' : ''}; sent ${tx_packets} packets, ${tx_bytes} bytes`,
    )
  }
  return lines
}

function describeLink(link: CardLook['link']): string {
  switch (link.kind) {
    case 'pair':
      return 'wired'
    case 'tap':
      return `on ${link.name}${link.offloadRefusal === undefined ? '' : ' without offloads'}`
    case 'capture':
      return link.ended ? `${link.path} played` : `playing ${link.path}`
  }
}
