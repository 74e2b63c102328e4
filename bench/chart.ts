/**
 * The results as a chart for the README: at most eight bars, each the ratio to a peer on a logarithmic
 * scale with the peer at 1. The picture brings its background, light or dark as the system is.
 */

import type { Machine } from './machine.ts'
import { brief, type Measure, median, medianRatio, ratioOf } from './measure.ts'

/** Figures of the chart from the top, each with its title. All are of the run's version of Node.js. */
const SHOWN: readonly (readonly [id: string, title: string])[] = [
  ['data-events', 'One TCP connection: speed'],
  ['data-events-cpu', 'One TCP connection: CPU time'],
  ['tls', 'One TLS connection: speed'],
  ['runtimes-deno-tcp', 'A TCP stream that is discarded: speed'],
  ['http-memory-fetch', 'HTTP body of 1 GiB into memory: speed'],
  ['runtimes-deno-fetch', 'The same against Deno'],
  ['runtimes-bun-fetch', 'The same against Bun'],
  ['http-file-curl', 'HTTP body of 1 GiB into a file: speed'],
]

const MARGIN = 16
const BARS = 360
/** Room for the ratio behind the longest bar. */
const RATIO = 70
const TOP = 60
const ROW = 36
const BAR = 16
const BOTTOM = 34
/** Upper bounds of a character's width in px, at the sizes of titles and details. */
const TITLE_PX = 7.4
const DETAIL_PX = 6.4
const STYLE = `text { fill: #1f2328; font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif }
.background { fill: #ffffff } .detail { fill: #59636e; font-size: 11px }
.heading { font-size: 15px; font-weight: 600 } .ratio { font-weight: 600 }
.better { fill: #1a7f37 } .worse { fill: #bc4c00 } .peer, .spread { stroke: #59636e; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .background { fill: #0d1117 } .detail { fill: #9198a1 }
.better { fill: #3fb950 } .worse { fill: #db6d28 } .peer, .spread { stroke: #9198a1 } }`

/** Returns an SVG document. Figures that were not measured, or whose ratio is no number, are left out. */
export function chart(measures: readonly Measure[], machine: Machine, date: Date): string {
  const bars = SHOWN.flatMap(([id, title]) =>
    measures
      .filter((measured) => measured.id === id && isPositive(medianRatio(measured)))
      .map((measured) => {
        const ratios = measured.pairs.map((pair) => ratioOf(measured, pair))
        const detail = detailOf(measured)
        return {
          title,
          detail,
          ratio: median(ratios),
          least: Math.min(...ratios),
          most: Math.max(...ratios),
        }
      }),
  )
  const labelWidth = Math.ceil(
    Math.max(
      ...bars.map(({ title }) => title.length * TITLE_PX),
      ...bars.map(({ detail }) => detail.length * DETAIL_PX),
    ),
  )
  const left = MARGIN + labelWidth + MARGIN
  const width = left + BARS + RATIO + MARGIN
  const height = TOP + bars.length * ROW + BOTTOM
  const end = TOP + bars.length * ROW
  const low = Math.log2(Math.min(0.8, ...bars.map(({ least }) => least)))
  const high = Math.log2(Math.max(2, ...bars.map(({ most }) => most)))
  const x = (ratio: number): number => left + ((Math.log2(ratio) - low) / (high - low)) * BARS
  const rows = bars.map(({ title, detail, ratio, least, most }, i) => {
    const [from, to] = [Math.min(x(1), x(ratio)), Math.max(x(1), x(ratio))]
    const middle = TOP + i * ROW + ROW / 2
    return `<text x="${MARGIN}" y="${middle - 2}">${escaped(title)}</text>
<text class="detail" x="${MARGIN}" y="${middle + 12}">${escaped(detail)}</text>
<rect class="${ratio >= 1 ? 'better' : 'worse'}" x="${px(from)}" y="${middle - BAR / 2}" width="${px(Math.max(1, to - from))}" height="${BAR}" rx="2"/>
<line class="spread" x1="${px(x(least))}" y1="${middle}" x2="${px(x(most))}" y2="${middle}"/>
<text class="ratio" x="${px(Math.max(to, x(most)) + 6)}" y="${middle + 4}">${brief(ratio)} ×</text>`
  })
  const where = `${machine.cpu}, ${machine.cores} cores · Node ${machine.node} · ${machine.system} · ${date.toISOString().slice(0, 10)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>netmem against its peers: how many times better, median of alternating pairs</title>
<style>${STYLE}</style>
<rect class="background" width="${width}" height="${height}" rx="6"/>
<text class="heading" x="${MARGIN}" y="26">netmem against its peers: how many times better</text>
<text class="detail" x="${MARGIN}" y="44">The upright line is the peer. Bars are medians of seven alternating pairs, thin lines their spread. Logarithmic.</text>
${rows.join('\n')}
<line class="peer" x1="${px(x(1))}" y1="${TOP - 4}" x2="${px(x(1))}" y2="${end}"/>
<text class="detail" x="${MARGIN}" y="${end + 20}">${escaped(where)}</text>
</svg>
`
}

/** Both sides of a figure, such as `3.13 GB/s, Node data events 1.85 GB/s`. */
function detailOf({ pairs, unit, peer }: Measure): string {
  const ours = brief(median(pairs.map((pair) => pair.ours)))
  const theirs = brief(median(pairs.map((pair) => pair.peer)))
  return `${ours} ${unit}, ${peer} ${theirs} ${unit}`
    .replaceAll('  ', ' ')
    .replace(' ,', ',')
    .trim()
}

function px(value: number): string {
  return value.toFixed(1)
}

function isPositive(ratio: number): boolean {
  return Number.isFinite(ratio) && ratio > 0
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
