/** One run in the guest: a script on the host's root, and what it leaves. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from './cache.ts'
import { judge } from './kernel-log.ts'
import { type Accelerator, accelerator, machineParts, runMachine } from './machine.ts'
import { unpackedModules } from './modules.ts'

/** The checkout. This file runs in build/test/guest. */
const CHECKOUT = realpathSync(fileURLToPath(new URL('../../..', import.meta.url)))
/** Folders that the guest has for itself. */
const HIDDEN = ['/tmp', '/run', '/var/tmp']
/** Milliseconds between two looks of the host for new output. */
const GLANCE_MS = 100
/** Bounds a boot that hangs. On a busy host one takes a minute. */
const BOOT_MS = 300_000
/** More than a line of output that is waited for. */
const LINE_BYTES = 1000
/** Lines of the console that a failure shows. */
const LAST_LINES = 30

/** A network card of the guest, besides its loopback interface. */
type Network =
  | {
      /** Card of QEMU, with its driver inserted. Its network reaches neither the host nor anything else. */
      readonly kind: 'virtio'
    }
  | {
      /** Card that a process of the host serves, with the driver gve inserted. */
      readonly kind: 'gvnic'
      /** Place of the card's socket, on which its process listens. */
      readonly socket: string
    }

export interface GuestOptions {
  /** Files for the script by their path in its folder. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  readonly network?: readonly Network[]
  /** More options of QEMU's, such as `-device` with a device that a process of the host serves. */
  readonly devices?: readonly string[]
  /** Modules of the kernel that are inserted before the script, with what they depend on. */
  readonly modules?: readonly string[]
  /** Words of the kernel's command line, such as `intel_iommu=on`. */
  readonly kernelOptions?: string
  /** Variables for the script, besides the host's PATH and HOME. */
  readonly environment?: Readonly<Record<string, string>>
  /** Default 2048. */
  readonly memoryMiB?: number
  /** Default 2. */
  readonly processors?: number
  /** Limit from the script's begin to power off. Default: 300,000. The time before depends on the host alone. */
  readonly timeoutMs?: number
  /** Called with new output while the script runs. */
  readonly onOutput?: (bytes: Buffer) => void
  /**
   * Line of output after which QEMU is killed. The script has left its exit code in `../exit` before,
   * the kernel's messages in `../kernel`, and its taint in `../tainted`.
   */
  readonly killAfter?: string
  /**
   * Warning that the guest's kernel has to give between two lines that the script writes to /dev/kmsg,
   * `netmem: a warning is expected` and `netmem: no further warning is expected`. Each other one is a fault.
   */
  readonly expectedWarning?: RegExp
}

/** Result of a run. */
export interface GuestRun {
  readonly exitCode: number
  /** Output of the script to stdout and stderr. */
  readonly output: string
  /** All files of the script's folder, by path. */
  readonly files: ReadonlyMap<string, Buffer>
  /** Messages of the kernel about stalls and clocks: the host was busy, and times mean nothing. */
  readonly starved: readonly string[]
  readonly accelerator: Accelerator
  /** Time from power on to the script's first line. */
  readonly bootMs: number
}

/** A guest that did not come to an end, or whose kernel found a fault. */
export class GuestError extends Error {
  readonly reason: 'no boot' | 'no end' | 'kernel'
  readonly output: string

  constructor(reason: GuestError['reason'], message: string, output: string) {
    super(output === '' ? message : `${message}\n--- output of the script\n${output}`)
    this.name = 'GuestError'
    this.reason = reason
    this.output = output
  }
}

/**
 * Boots the guest, runs a script of the shell in it and powers it off. The guest's root is the
 * host's, read-only. /tmp, /run and /var/tmp are its own. The script runs as root in a folder of its
 * own, which it can write to. There `node` is the Node.js that runs this, and CHECKOUT names the
 * checkout.
 *
 * @returns Exit code, output and files. A script that fails is a result.
 * @throws GuestError if the guest does not boot, does not end in time, or if its kernel warned,
 *   oopsed or is tainted.
 */
export async function runInGuest(script: string, options: GuestOptions = {}): Promise<GuestRun> {
  const { memoryMiB = 2048, processors = 2, timeoutMs = 300_000 } = options
  const { network = [], modules = [] } = options
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'netmem-guest-'))
  const share = join(folder, 'run')
  try {
    const parts = await machineParts(folder)
    const drivers = new Set(network.map(({ kind }) => (kind === 'virtio' ? 'virtio_net' : 'gve')))
    fill(share, script, options, await unpackedModules(parts.kernel, [...drivers, ...modules]))
    const accelerated = await accelerator()
    const devices = [...folderDevices('host', '/', true), ...folderDevices('run', share, false)]
    for (const [at, card] of network.entries()) devices.push(...cardOptions(card, at))
    devices.push(...(options.devices ?? []))
    const { onOutput, killAfter, kernelOptions = '' } = options
    const kill = new AbortController()
    const limit = new Limit(BOOT_MS, kill)
    let last = ''
    const watch = watchOutput(
      join(share, 'output'),
      () => limit.renew(timeoutMs),
      (bytes) => {
        onOutput?.(bytes)
        last = last.slice(-LINE_BYTES) + bytes.toString()
        if (killAfter !== undefined && last.includes(`${killAfter}\n`)) kill.abort()
      },
    )
    const machine = { devices, memoryMiB, processors, kernelOptions, kill: kill.signal }
    const shown = await runMachine(parts, accelerated, machine).finally(() => {
      watch.stop()
      limit.stop()
    })
    return {
      ...resultOf(share, shown, limit.passedMs, options.expectedWarning),
      accelerator: accelerated,
      bootMs: watch.bootMs(),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Time after which a machine is killed. */
class Limit {
  /** Limit that has passed, or `undefined`. */
  passedMs: number | undefined
  readonly #kill: AbortController
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number, kill: AbortController) {
    this.#kill = kill
    this.renew(ms)
  }

  /** Begins anew, with another limit. */
  renew(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.passedMs = ms
      this.#kill.abort()
    }, ms)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

function cardOptions(card: Network, at: number): readonly string[] {
  if (card.kind === 'gvnic') {
    const socket = { path: card.socket, type: 'unix' }
    return ['-device', JSON.stringify({ driver: 'vfio-user-pci', socket })]
  }
  return [
    ...['-netdev', `user,id=net${at},restrict=on`],
    ...['-device', `virtio-net-pci,netdev=net${at}`],
  ]
}

/** Writes what the guest's first program reads. See init.sh. */
function fill(
  share: string,
  script: string,
  { files = {}, environment = {} }: GuestOptions,
  modules: readonly string[],
): void {
  mkdirSync(join(share, 'files'), { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    const file = join(share, 'files', path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  const node = realpathSync(process.execPath)
  const kept = [CHECKOUT, dirname(node), realpathSync(cacheFolder())].filter((path) =>
    HIDDEN.some((hidden) => path.startsWith(`${hidden}/`)),
  )
  const variables = {
    PATH: [dirname(node), process.env['PATH'] ?? ''].join(delimiter),
    HOME: process.env['HOME'] ?? '/',
    CHECKOUT,
    ...environment,
  }
  const lines = (all: readonly string[]) => all.map((line) => `${line}\n`).join('')
  writeFileSync(join(share, 'modules'), lines(modules.map((path) => realpathSync(path))))
  writeFileSync(join(share, 'kept'), lines(kept))
  writeFileSync(
    join(share, 'environment'),
    lines(Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}`)),
  )
  writeFileSync(join(share, 'script'), script)
}

/** QEMU's options for a folder of the host that the guest mounts by 9p. */
function folderDevices(tag: string, path: string, readonly: boolean): readonly string[] {
  const place = path.replaceAll(',', ',,')
  const more = readonly ? ',readonly=on,multidevs=remap' : ''
  return [
    ...['-fsdev', `local,id=${tag},path=${place},security_model=none${more}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ]
}

/** Follows a file that the guest writes: no event of the host tells of it. */
function watchOutput(
  file: string,
  onBegin: () => void,
  onOutput: (bytes: Buffer) => void,
): { readonly stop: () => void; readonly bootMs: () => number } {
  const start = performance.now()
  let bootMs = Number.NaN
  let shown = 0
  const look = (): void => {
    if (!existsSync(file)) return
    if (Number.isNaN(bootMs)) {
      bootMs = performance.now() - start
      onBegin()
    }
    if (statSync(file).size === shown) return
    const bytes = readFileSync(file).subarray(shown)
    shown += bytes.length
    onOutput(bytes)
  }
  const timer = setInterval(look, GLANCE_MS)
  return {
    stop: () => {
      clearInterval(timer)
      look()
    },
    bootMs: () => Math.round(bootMs),
  }
}

/** Reads what the guest has left, and throws what is no result. */
function resultOf(
  share: string,
  shown: string,
  passedMs: number | undefined,
  expectedWarning: RegExp | undefined,
): Pick<GuestRun, 'exitCode' | 'output' | 'files' | 'starved'> {
  const left = (name: string): string | undefined => {
    const file = join(share, name)
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined
  }
  const output = left('output') ?? ''
  const exit = left('exit')
  const { faults, starved } =
    exit === undefined
      ? judge(shown)
      : judge(left('kernel') ?? '', Number(left('tainted')), expectedWarning)
  const busy =
    starved.length > 0
      ? `\nThe host was too busy for a guest (load ${loadavg()[0]?.toFixed(1)}): ${starved.join('\n')}`
      : ''
  if (faults.length > 0) {
    throw new GuestError('kernel', `The guest's kernel says:\n${faults.join('\n')}${busy}`, output)
  }
  if (exit === undefined) {
    const what =
      passedMs === undefined ? 'ended without a result' : `did not end within ${passedMs} ms`
    const last = shown.trimEnd().split('\n').slice(-LAST_LINES).join('\n')
    throw new GuestError(
      left('output') === undefined ? 'no boot' : 'no end',
      `The guest ${what}; the load of this host is ${loadavg()[0]?.toFixed(1)}.${busy}\n` +
        `--- console of the guest\n${last}`,
      output,
    )
  }
  const folder = join(share, 'files')
  const files = new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => statSync(join(folder, path)).isFile())
      .map((path) => [path, readFileSync(join(folder, path))]),
  )
  return { exitCode: Number(exit), output, files, starved }
}

/** Quotes a word for the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
