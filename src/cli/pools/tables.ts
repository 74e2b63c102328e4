/** A look at all pools, as lines for people. */

import type { KernelPool, OfferedPools } from '../../observe/index.ts'
import { alignColumns } from '../columns.ts'
import { exactSize, roughSize } from '../size.ts'
import type { KernelLook, Look } from './look.ts'
import { COUNTERS, type CountedPool, countersOf, processLabel } from './rates.ts'

/** @param rates Counts of each second, in place of the counts, or undefined at the first look. */
export function poolLines(now: Look, rates: readonly CountedPool[] | undefined): string[] {
  return [
    "The kernel's page pools",
    ...indented(kernelLines(now.kernel)),
    '',
    'Pools of netmem processes',
    ...indented(processLines(now.processes)),
    ...counterLines(
      rates === undefined ? 'Counters' : 'Counters, each second',
      rates ?? countersOf(now),
    ),
  ]
}

function kernelLines(kernel: KernelLook): string[] {
  if (kernel.kind === 'unavailable') return [`cannot be listed: ${kernel.message}`]
  const { pools, counts, interrupted } = kernel
  if (pools.length === 0) {
    return ['none: no driver of this network namespace has one that belongs to an interface']
  }
  const headings = ['pool', 'interface', 'RX queues', 'memory', 'in flight', 'of bytes', 'detached']
  const rows = pools.map((pool) => [
    String(pool.id),
    pool.interface?.name ?? 'gone',
    pool.queues.join(',') || '-',
    memory(pool),
    String(pool.inflight),
    roughSize(pool.inflightBytes),
    pool.detachedSeconds === undefined ? '' : `${pool.detachedSeconds} s ago`,
  ])
  const lines = alignColumns([headings, ...rows], new Set([1, 2, 3]))
  if (!counts) {
    lines.push(
      'The kernel does not count what they do: it was built without CONFIG_PAGE_POOL_STATS.',
    )
  }
  if (interrupted) lines.push('Pools came and went while they were listed: one may be missing.')
  return lines
}

function memory({ memory }: KernelPool): string {
  return memory.kind === 'dmabuf' ? `dma-buf, binding ${memory.binding}` : memory.kind
}

function processLines(processes: readonly OfferedPools[]): string[] {
  if (processes.length === 0) {
    return ['none: a program offers its pools with offerPools() of netmem/observe']
  }
  const headings = ['process', 'program', 'pool', 'memory', 'netmem', ...HOLDERS, 'oldest out']
  const rows = processes.flatMap((offer) =>
    offer.kind === 'failed'
      ? []
      : offer.pools.map(({ name, kind, pageSize, capacity, held, oldestMs, destroyed }) => [
          processLabel(offer),
          offer.program,
          destroyed ? `${name} (destroyed)` : name,
          `${kind === 'page' ? 'pages' : 'net_iovs'} of ${exactSize(pageSize)}`,
          String(capacity),
          ...HOLDERS.map((holder) => String(held[holder])),
          oldestMs === undefined ? '' : `${(oldestMs / 1000).toFixed(1)} s`,
        ]),
  )
  const empty = processes.flatMap((offer) =>
    offer.kind === 'process' && offer.pools.length === 0
      ? [`${processLabel(offer)} ${offer.program} has no pools.`]
      : [],
  )
  const failed = processes.flatMap((offer) =>
    offer.kind === 'failed' ? [`${offer.path} cannot be read: ${offer.reason}.`] : [],
  )
  const table = rows.length === 0 ? [] : alignColumns([headings, ...rows], new Set([0, 1, 2, 3]))
  return [...table, ...empty, ...failed]
}

const HOLDERS = ['cache', 'ring', 'posted', 'sockets', 'application'] as const

function counterLines(title: string, pools: readonly CountedPool[]): string[] {
  if (pools.length === 0) return []
  const rows = pools.map(({ label, values }) => [
    label,
    ...values.map((value) => String(Math.round(value))),
  ])
  return ['', title, ...indented(alignColumns([['pool', ...COUNTERS], ...rows], new Set([0])))]
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
