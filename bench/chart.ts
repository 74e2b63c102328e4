/**
 * The results as a chart for the README: a bar per figure, how many times better than its peer on
 * a logarithmic scale, the peer at 1. An SVG image cannot follow GitHub's theme, only the
 * system's, so its colours are readable on white and on black alike.
 */

import type { Machine } from './machine.ts'
import { brief, isMet, type Measure, median, medianRatio } from './measure.ts'

const WIDTH = 900
const LABELS = 350
const RIGHT = 130
const TOP = 56
const ROW = 34
const BAR = 18
const BOTTOM = 34
/** Both have a contrast of at least 4.5 on GitHub's white and 3.9 on its black. */
const TEXT = '#767c85'
const GOOD = '#2a8f4f'
const WEAK = '#c2571a'

/** An SVG document. Figures whose ratio says nothing, as of zero and zero, are left out. */
export function chart(measures: readonly Measure[], machine: Machine, date: Date): string {
  const shown = measures.filter(
    (measured) =>
      measured.peer !== 'none' && isPositive(medianRatio(measured)) && isPrime(measured),
  )
  const ratios = shown.map(medianRatio)
  const low = Math.log2(Math.min(0.5, ...ratios))
  const high = Math.log2(Math.max(2, ...ratios))
  const x = (ratio: number): number =>
    LABELS + ((Math.log2(ratio) - low) / (high - low)) * (WIDTH - LABELS - RIGHT)
  const height = TOP + shown.length * ROW + BOTTOM
  const bars = shown.map((measured, i) => bar(measured, TOP + i * ROW, x))
  const end = TOP + shown.length * ROW
  const where = `${machine.cpu}, ${machine.cores} cores · Node ${machine.node} · ${machine.system} · ${date.toISOString().slice(0, 10)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="13" fill="${TEXT}">
<title>netmem against its peers: how many times better, median of alternating pairs</title>
<text x="12" y="22" font-size="15" font-weight="600">netmem against its peers: how many times better (peer = 1.0, logarithmic)</text>
<text x="12" y="42" font-size="12">medians of alternating pairs in one run; longer is better</text>
${bars.join('\n')}
<line x1="${x(1).toFixed(1)}" y1="${TOP - 6}" x2="${x(1).toFixed(1)}" y2="${end}" stroke="${TEXT}" stroke-width="1.5"/>
<text x="12" y="${end + 22}" font-size="11">${escaped(where)}</text>
</svg>
`
}

function bar(measured: Measure, y: number, x: (ratio: number) => number): string {
  const ratio = medianRatio(measured)
  const { title, unit, pairs, peer } = measured
  const ours = `${brief(median(pairs.map((pair) => pair.ours)))} ${unit}`.trim()
  const theirs = `${brief(median(pairs.map((pair) => pair.peer)))} ${unit}`.trim()
  const from = Math.min(x(1), x(ratio))
  const width = Math.max(1, Math.abs(x(ratio) - x(1)))
  const middle = y + ROW / 2 + 4
  const colour = (isMet(measured) ?? ratio >= 1) ? GOOD : WEAK
  return [
    `<text x="${LABELS - 12}" y="${middle - 6}" text-anchor="end">${escaped(title)}</text>`,
    `<text x="${LABELS - 12}" y="${middle + 8}" text-anchor="end" font-size="11">${escaped(`${ours}, ${peer} ${theirs}`)}</text>`,
    `<rect x="${from.toFixed(1)}" y="${y + (ROW - BAR) / 2}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${colour}"/>`,
    `<text x="${(Math.max(x(1), x(ratio)) + 6).toFixed(1)}" y="${middle}" font-weight="600">${brief(ratio)} ×</text>`,
  ].join('\n')
}

function isPositive(ratio: number): boolean {
  return Number.isFinite(ratio) && ratio > 0
}

/** What stands against no peer of ours, netmem with itself or with a bound, is in the table only. */
function isPrime({ id }: Measure): boolean {
  return !['page-size', 'stack', 'data-events-limit', 'data-events-plain'].some((prefix) =>
    id.startsWith(prefix),
  )
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
