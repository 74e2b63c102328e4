/** Programs to try netmem with. */

import { spawnSync } from 'node:child_process'
import { constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { Feature, type Finding, finder, mayUse } from './finding.ts'

const { ok, warn, missing } = finder(Feature.tools)

const TOOLS = [
  { name: 'iperf3', use: 'measures `netmem iperf3`' },
  { name: 'nc', use: 'sends to `netmem recv`' },
  { name: 'socat', use: 'sends to `netmem recv`' },
] as const

/** @param path Folders of programs, as PATH has them. */
export function toolFindings(path: string = process.env['PATH'] ?? ''): Finding[] {
  const tools = TOOLS.map(({ name, use }) => {
    if (find(name, path) !== undefined) return ok(name, use)
    const remedy = `apt-get install ${name === 'nc' ? 'netcat-openbsd' : name}, or brew install ${name === 'nc' ? 'netcat' : name}`
    return missing(name, `not in the PATH; it ${use}`, remedy)
  })
  return process.platform === 'linux' ? [...tools, qemu(path)] : tools
}

const QEMU = `qemu-system-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`
const QEMU_USE = 'runs guests with the cards of `netmem gvnic`: devmem TCP without hardware'
const NEWER_QEMU =
  'Install QEMU 10.1 or newer: apt-get install qemu-system (Debian 13 has it in trixie-backports)'
/** A QEMU without output is broken. */
const QEMU_MS = 10_000

/** QEMU connects to cards by vfio-user, which it can be built without, so it is asked for the device. */
function qemu(path: string): Finding {
  const program = find(QEMU, path)
  if (program === undefined) {
    return missing(QEMU, `not in the PATH; it ${QEMU_USE}`, NEWER_QEMU)
  }
  const version =
    /version (\d+\.\d+\S*)/.exec(output(program, '--version'))?.[1] ?? 'an unknown version'
  // QEMU without the device answers with an error, and exits with 0 all the same.
  const options = output(program, '-machine', 'none', '-device', 'vfio-user-pci,help')
  return options.includes('socket=')
    ? ok(QEMU, `${version}; it ${QEMU_USE}`)
    : warn(QEMU, `${version}, without vfio-user-pci; a newer one ${QEMU_USE}`, NEWER_QEMU)
}

/** Returns the output of a program, or an empty text if it cannot be run. */
function output(program: string, ...args: string[]): string {
  const { stdout } = spawnSync(program, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: QEMU_MS,
  })
  return stdout === null ? '' : stdout.toString()
}

function find(name: string, path: string): string | undefined {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return path
    .split(delimiter)
    .map((folder) => join(folder, name + suffix))
    .find((file) => mayUse(file, constants.X_OK))
}
