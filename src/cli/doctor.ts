/** `netmem doctor`: features of this machine, and remedies for missing ones. */

import { Command } from 'commander'

import { dmaBufFindings } from './doctor/dma-bufs.ts'
import { Feature, type Finding } from './doctor/finding.ts'
import { httpFindings } from './doctor/http.ts'
import { kernelFindings } from './doctor/kernel.ts'
import { limitFindings } from './doctor/limits.ts'
import { linuxFindings } from './doctor/linux.ts'
import { runtimeFindings } from './doctor/runtime.ts'
import { toolFindings } from './doctor/tools.ts'
import { EXIT_CODES } from './exit.ts'
import { withJson } from './options.ts'
import type { Output } from './output.ts'
import { type Outcome, run } from './run.ts'

const HELP = `
It changes nothing. Findings stand below what of netmem they are for, and are ok, warn (it works,
less well than it could) or missing; nothing that is missing keeps netmem from receiving into host
memory, save an old Node.js. The kernel is asked by netlink, with requests that change nothing: as root it
answers more.

Example:
  $ netmem doctor

${EXIT_CODES}
Findings do not make it fail.`

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('say what this machine offers, and what to do about what is missing')
    .addHelpText('after', HELP)
  return withJson(command).action((options: { readonly json?: true }) =>
    run('doctor', { json: options.json === true }, (output) => doctor(output)),
  )
}

async function doctor(output: Output): Promise<Outcome> {
  const findings = [
    ...runtimeFindings(),
    ...limitFindings(),
    ...(await httpFindings()),
    ...(await linuxFindings()),
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
