/** Results as a table for people and as JSON for machines. */

import type { Machine } from './machine.ts'
import { brief, isMet, type Measure, median, medianRatio, ratioOf } from './measure.ts'

const HEADINGS = ['figure', 'netmem', 'peer', 'ratio', 'spread', 'target', ''] as const

/** Medians, the median of the ratios, and how far these were apart. */
export function table(measures: readonly Measure[]): string {
  const rows = [HEADINGS, ...measures.map(row)]
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? '').length)),
  )
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function row(measured: Measure): readonly string[] {
  const { pairs, title, unit, peer } = measured
  const ratios = pairs.map((pair) => ratioOf(measured, pair))
  const hasPeer = peer !== 'none'
  const met = isMet(measured)
  return [
    title,
    `${brief(median(pairs.map(({ ours }) => ours)))} ${unit}`.trim(),
    hasPeer ? `${brief(median(pairs.map((pair) => pair.peer)))} ${unit} (${peer})` : '',
    hasPeer ? `${brief(medianRatio(measured))} ×` : '',
    hasPeer ? `${brief(Math.min(...ratios))}–${brief(Math.max(...ratios))}` : '',
    targetText(measured),
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ]
}

/**
 * Returns a page of docs/ with its tables written anew. A table stands between a line
 * `<!-- figures: PREFIX… -->`, which names the ids of its rows by how they begin, and `<!-- end -->`.
 */
export function withFigures(page: string, measures: readonly DatedMeasure[]): string {
  return page.replace(
    /(<!-- figures: (.*?) -->\n).*?(<!-- end -->)/gs,
    (_, start: string, prefixes: string, end: string) => {
      const names = prefixes.split(' ')
      const own = measures.filter(({ id }) => names.some((name) => id.startsWith(name)))
      return `${start}${markdownTable(own)}${end}`
    },
  )
}

function markdownTable(measures: readonly DatedMeasure[]): string {
  const lines = measures.map((measured) => {
    const [title, ours, peer = '', ratio, spread] = row(measured)
    const compared =
      peer !== '' && Number.isFinite(medianRatio(measured)) ? `${ratio} (${spread})` : ''
    const node = measured.node.replace(/^v(\d+\.\d+).*/, '$1')
    const when = `${measured.date.slice(0, 10)}, Node ${node}`
    return `| ${title} | ${ours} | ${peer.replace('  ', ' ')} | ${compared} | ${when} |\n`
  })
  return `\n| figure | netmem | peer | ratio (spread) | measured |\n|---|---|---|---|---|\n${lines.join('')}\n`
}

function targetText({ target, unit }: Measure): string {
  if (target === undefined) return ''
  const sign = target.is === 'at least' ? '≥' : '≤'
  const what = target.of === 'ratio' ? `${brief(target.value)} ×` : `${target.value} ${unit}`
  return `${sign} ${what.trim()}`
}

/** A measure with the time of the run that it is from, and the version of Node.js. */
export type DatedMeasure = Measure & { readonly date: string; readonly node: string }

/** Figures as they are written. Time and machine are those of the last run of all figures. */
export interface Results {
  readonly date: string
  readonly machine: Machine
  readonly measures: readonly DatedMeasure[]
}

/** Measures of an earlier run as they were written, those again that this run has. */
export function merged(
  earlier: Results,
  measures: readonly DatedMeasure[],
): readonly DatedMeasure[] {
  const fresh = new Map(measures.map((measured) => [measured.id, measured]))
  const kept = earlier.measures.map((old) => {
    const measured = fresh.get(old.id)
    fresh.delete(old.id)
    return measured ?? old
  })
  return [...kept, ...fresh.values()]
}

/** Laid out as the project's formatter has it. */
export function resultsJson(
  measures: readonly DatedMeasure[],
  { date, machine }: Pick<Results, 'date' | 'machine'>,
  quick: boolean,
): string {
  const results = {
    date,
    quick,
    machine,
    measures: measures.map((measured) => ({
      ...measured,
      // JSON has no infinity: a peer without a cost has no ratio.
      ratio: finite(medianRatio(measured)),
      met: isMet(measured),
      pairs: measured.pairs.map(({ ours, peer }) => ({ ours: finite(ours), peer: finite(peer) })),
    })),
  }
  return `${JSON.stringify(results, undefined, 2)}\n`
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(5)) : null
}
