/** `netmem gvnic`: network cards for guests in QEMU, which need no hardware. */

import { resolve } from 'node:path'
import { Command } from 'commander'
import type { CardLink } from '../gvnic/index.ts'
import { parseSocketPath } from './devmem/parse.ts'
import { EXIT_CODES } from './exit.ts'
import { argument, parseCount } from './options.ts'
import { withWork } from './run.ts'

const HELP = `
Each card listens on a socket, and QEMU 10.1 or newer connects to it when it starts. The command prints
the options for QEMU. The guest's own driver, gve, drives the cards: devmem TCP works with them on an
unmodified kernel (seen with Linux 7.3, CONFIG_NET_DEVMEM and CONFIG_GVE).

Links:
  pair            two cards, wired to each other: give --socket twice. Both may be in one guest: move one
                  interface into a network namespace
  tap:<name>      one card on a TAP interface of this machine, which is made if there is none
  capture:<file>  one card that receives the frames of a pcap or pcapng file, at their captured times,
                  once the guest's interface is up

Examples:
  $ netmem gvnic --socket /tmp/a.sock --socket /tmp/b.sock
  $ netmem gvnic --socket /tmp/a.sock --socket /tmp/b.sock --mtu 4148 --loss 0.01 --seed 7 --json
  $ netmem gvnic --socket /tmp/a.sock --link tap:tap0 --capture /tmp/a.pcapng

${EXIT_CODES}
It serves until a signal ends it.`

export function gvnicCommand(): Command {
  const command = new Command('gvnic')
    .description('network cards for guests in QEMU, on which devmem TCP works without hardware')
    .requiredOption('--socket <path>', 'socket of a card; two of them for a pair', collect)
    .option('--link <link>', 'pair, tap:<name> or capture:<file>', argument(parseLink), 'pair')
    .option('--queues <number>', 'of each card, each way: 1 to 16', argument(parseCount(1, 16)), 4)
    .option('--mtu <bytes>', 'of the interfaces: 68 to 9000', argument(parseCount(68, 9000)))
    .option('--loss <part>', 'part of the frames that are lost: 0 to 1', argument(parseFraction))
    .option('--seed <number>', 'of the losses', argument(parseCount(0, 2 ** 32 - 1)), 0)
    .option('--capture <file>', 'write the frames of the first card to a pcapng file')
    .addHelpText('after', HELP)
  return withWork(command, async () => (await import('./gvnic/serve.ts')).serveCards)
}

function parseLink(text: string): CardLink | 'pair' {
  const [, kind, rest = ''] = /^(tap|capture):(.+)$/s.exec(text) ?? []
  if (kind === 'tap' && /^[^/:\s]{1,15}$/.test(rest)) return { kind, name: rest }
  if (kind === 'tap')
    throw new RangeError("the interface's name has 1 to 15 bytes, without '/', ':' and space")
  if (kind === 'capture') return { kind, path: resolve(rest) }
  if (text === 'pair') return text
  throw new RangeError('it is pair, tap:<name> or capture:<file>')
}

function parseFraction(text: string): number {
  const part = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(part <= 1)) throw new RangeError('it is a number of 0 to 1')
  return part
}

/** Checks the place of a card's socket, and adds it. */
function collect(path: string, before: readonly string[] = []): readonly string[] {
  return [...before, parseSocketPath(path)]
}
