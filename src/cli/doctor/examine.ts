/** Collects the findings of `netmem doctor`, and shows them by feature. */

import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { koffiFinding } from './dependencies.ts'
import { dmaBufFindings } from './dma-bufs.ts'
import { Feature, type Finding } from './finding.ts'
import { kernelFindings } from './kernel.ts'
import { limitFindings } from './limits.ts'
import { runtimeFindings } from './runtime.ts'
import { toolFindings } from './tools.ts'

export async function examine(output: Output): Promise<CommandOutcome> {
  const findings = [
    ...runtimeFindings(),
    ...limitFindings(),
    await koffiFinding(),
    ...toolFindings(),
    ...dmaBufFindings(),
    ...(await kernelFindings()),
  ]
  for (const feature of Object.values(Feature)) {
    const ofFeature = findings.filter((finding) => finding.feature === feature)
    if (ofFeature.length === 0) continue
    output.result(feature)
    for (const finding of ofFeature) for (const line of describe(finding)) output.result(line)
    output.result('')
  }
  return { report: { findings } }
}

const STATUS_WIDTH = 'missing'.length
const NAME_WIDTH = 27

function describe({ name, status, value, remedy }: Finding): string[] {
  const line = `  ${status.padEnd(STATUS_WIDTH)}  ${name.padEnd(NAME_WIDTH)} ${value}`
  const indent = ' '.repeat(STATUS_WIDTH + NAME_WIDTH + 5)
  return remedy === undefined ? [line] : [line, `${indent}→ ${remedy}`]
}
