/** The report of a replay for people: a row for each flow, then the other packets. */

import type { FlowReport, ReplayDrops, ReplayReport } from '../../stack/index.ts'
import { alignColumns } from '../columns.ts'
import { formatEndpoint } from '../endpoint.ts'
import { roughRate, roughSize } from '../size.ts'

const HEADINGS = [
  'flow',
  'bytes',
  'packets',
  'header pages',
  'pages',
  'net_iovs',
  'missing',
  'dropped',
  'state',
  'SHA-256',
]
/** Text columns, aligned left. */
const TEXT = new Set([0, 8, 9])
/** Digits of a hash in the table. --json shows all digits. */
const DIGITS = 16

/** Returns the table's lines, or an empty list without flows. */
export function flowLines({ flows }: ReplayReport): string[] {
  if (flows.length === 0) return []
  return alignColumns([HEADINGS, ...flows.map(cells)], TEXT)
}

function cells(flow: FlowReport): string[] {
  const { landed, dropped } = flow
  const from = formatEndpoint({ host: flow.source, port: flow.sourcePort })
  const to = formatEndpoint({ host: flow.destination, port: flow.destinationPort })
  return [
    `${from} > ${to}`,
    String(flow.bytes),
    String(flow.packets),
    String(landed.headerPages),
    String(landed.pages),
    String(landed.netIovs),
    String(flow.protocol === 'tcp' ? flow.gapBytes : flow.cutBytes),
    String(dropped.no_room + dropped.out_of_window),
    flow.protocol === 'tcp' ? flow.state : flow.protocol,
    flow.sha256.slice(0, DIGITS),
  ]
}

/** Returns the lines below the table. */
export function summaryLines(report: ReplayReport): string[] {
  const { capture, seconds, totals, cutPackets, nic, dropped } = report
  const drops = REASONS.filter(([reason]) => dropped[reason] > 0).map(
    ([reason, text]) => `${dropped[reason]} ${text}`,
  )
  const lines: readonly (readonly [isShown: boolean, text: string])[] = [
    [
      true,
      `${capture.frames} frames, ${roughSize(capture.bytes)} in ${seconds.toFixed(2)} s: ${roughRate(capture.bytes, seconds)}; flows: ${totals.flows}, ${totals.bytes} bytes of streams`,
    ],
    [
      true,
      `checksums: ${nic.rx_csum_unnecessary} right, ${nic.rx_csum_bad} wrong, ${nic.rx_csum_none} not looked at`,
    ],
    [
      report.uncheckedPackets > 0,
      `wrong, and taken: ${report.uncheckedPackets} packets of hosts that leave checksums to hardware`,
    ],
    [drops.length > 0, `without a flow: ${drops.join(', ')}`],
    [
      capture.cutFrames + cutPackets > 0,
      `cut by the capture: ${Math.max(capture.cutFrames, cutPackets)} frames`,
    ],
    [
      capture.otherLinkPackets > 0,
      `skipped: ${capture.otherLinkPackets} packets of interfaces that are not Ethernet`,
    ],
    [
      capture.truncated,
      'the capture ends in the middle of a record: it was cut off, and the rest is not there',
    ],
    [!report.complete, 'ended before the end of the capture'],
  ]
  return lines.filter(([isShown]) => isShown).map(([, text]) => text)
}

/** Reasons for packets outside every flow, in the order of the checks. */
const REASONS: readonly (readonly [keyof ReplayDrops, string])[] = [
  ['rx_length_errors', 'shorter than an Ethernet header'],
  ['rx_hw_drop_overruns', 'for want of buffers'],
  ['rx_dma_faults', 'with DMA faults'],
  ['rx_stopped', 'on a stopped queue'],
  ['rx_dropped_unsplit', 'not split, on a queue of device memory'],
  ['rx_dropped_frags', 'in too many pieces'],
  ['other_packets', 'neither TCP nor UDP, or fragments'],
  ['malformed', 'malformed'],
  ['csum_bad', 'with a wrong checksum'],
  ['table_full', 'of too many flows'],
]
