/** Replays the capture of `netmem replay`, and shows its flows. */

import { statSync } from 'node:fs'

import { replay } from '../../stack/replay/replay.ts'
import type { ReplayReport } from '../../stack/replay/replay-report.ts'
import { usage } from '../exit.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { flowLines, summaryLines } from './table.ts'

interface ReplayCommandOptions {
  readonly memory: 'page' | 'device'
  readonly queues: number
  readonly headerSplit: 'on' | 'off'
  readonly checksums: 'verify' | 'ignore'
  readonly out?: string
}

export async function show(
  output: Output,
  signal: AbortSignal,
  path: string,
  { memory, queues, headerSplit, checksums, out }: ReplayCommandOptions,
): Promise<CommandOutcome> {
  if (memory === 'device' && headerSplit === 'off') {
    throw usage(
      '--memory device needs headers split off: the host has to read them. Leave --header-split on.',
    )
  }
  let bytes = 0
  const stop = output.progress({
    label: 'replayed',
    totalBytes: statSync(path, { throwIfNoEntry: false })?.size,
    bytes: () => bytes,
  })
  let report: ReplayReport
  try {
    report = await replay(path, {
      memory,
      queues,
      headerSplit: headerSplit === 'on',
      verifyChecksums: checksums === 'verify',
      signal,
      onProgress: (received) => {
        bytes = received
      },
      ...(out === undefined ? {} : { out }),
    })
  } finally {
    stop()
  }
  for (const line of flowLines(report)) output.result(line)
  for (const line of summaryLines(report)) output.result(line)
  return { report: { memory, queues, headerSplit: headerSplit === 'on', ...report } }
}
