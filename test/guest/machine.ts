/** The guest's machine: QEMU, with KVM where it works. */

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { cpio } from './cpio.ts'
import { debianClosure, debianPackage, type Kernel, newestKernel } from './debian.ts'
import { unpackedModules } from './modules.ts'

/** First program of the guest. This file runs in build/test/guest. */
const INIT = fileURLToPath(new URL('../../../test/guest/init.sh', import.meta.url))
/** Modules that the host's root needs. All else is inserted once it is there. */
const FIRST_MODULES = ['9pnet_virtio', '9p']
/** A guest under KVM is at its first program long before. */
const PROBE_MS = 2000

export type Accelerator = 'kvm' | 'tcg'

/** Files of the host that a machine is made of. */
export interface Parts {
  readonly kernel: Kernel
  readonly qemu: string
  readonly initramfs: string
}

/** Fetches QEMU and the kernel if need be, and packs the initial RAM disk into `folder`. */
export async function machineParts(folder: string): Promise<Parts> {
  const kernel = await newestKernel()
  const qemu = await debianClosure('qemu-system-x86')
  const busybox = join(await debianPackage('busybox-static'), 'usr/bin/busybox')
  const modules = await unpackedModules(kernel, FIRST_MODULES)
  const names = modules.map((_, at) => `${at}.ko`)
  const folders = ['bin', 'dev', 'hidden', 'host', 'modules', 'proc', 'run', 'sys']
  const initramfs = join(folder, 'initramfs')
  writeFileSync(
    initramfs,
    cpio([
      ...folders.map((path) => ({ path })),
      { path: 'bin/busybox', bytes: readFileSync(busybox), executable: true },
      { path: 'init', bytes: readFileSync(INIT), executable: true },
      { path: 'modules/order', bytes: Buffer.from(names.map((name) => `${name}\n`).join('')) },
      ...modules.map((file, at) => ({ path: `modules/${at}.ko`, bytes: readFileSync(file) })),
    ]),
  )
  return { kernel, qemu, initramfs }
}

/**
 * Starts QEMU without devices or display. It ends with this process.
 *
 * @param qemu Folder of its package with all that it needs.
 */
export function startQemu(
  qemu: string,
  options: readonly string[],
): ChildProcessByStdio<null, Readable, Readable> {
  const libraries = join(qemu, 'usr/lib/x86_64-linux-gnu')
  const share = ['qemu', 'seabios'].flatMap((name) => ['-L', join(qemu, 'usr/share', name)])
  return spawn(
    // QEMU's loader takes QEMU's libraries, not those of the host.
    join(qemu, 'usr/lib64/ld-linux-x86-64.so.2'),
    [
      ...['--library-path', libraries, join(qemu, 'usr/bin/qemu-system-x86_64'), ...share],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
      ...['-run-with', 'exit-with-parent=on', ...options],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
}

/**
 * Powers a machine on, and waits for its end.
 *
 * @returns Output of the serial console: warnings of the guest, and messages of QEMU.
 */
export async function runMachine(
  { kernel, qemu, initramfs }: Parts,
  accelerator: Accelerator,
  {
    devices,
    memoryMiB,
    processors,
    kill,
    kernelOptions = '',
  }: {
    readonly devices: readonly string[]
    readonly memoryMiB: number
    readonly processors: number
    /** Ends the machine at once, as if QEMU were killed. */
    readonly kill: AbortSignal
    readonly kernelOptions?: string
  },
): Promise<string> {
  // A busy host would look like a fault of the kernel's clocks or of its timer interrupt, which it tests
  // at boot (K: arch/x86/kernel/apic/io_apic.c, `timer_irq_works`). See the verdict for what is left.
  const options = `nowatchdog tsc=reliable no_timer_check rcupdate.rcu_cpu_stall_timeout=120 ${counterOption()}`
  const child = startQemu(qemu, [
    ...['-machine', `q35,accel=${accelerator},memory-backend=mem`, '-cpu', 'max'],
    // Shared, so that a process beside QEMU can be the guest's network card.
    ...['-object', `memory-backend-memfd,id=mem,size=${memoryMiB}M,share=on`],
    ...['-smp', String(processors), '-kernel', kernel.image, '-initrd', initramfs],
    ...['-append', `console=ttyS0 loglevel=5 panic=-1 ${options} ${kernelOptions}`],
    ...['-chardev', 'stdio,id=console', '-serial', 'chardev:console', ...devices],
  ])
  const killNow = (): unknown => child.kill('SIGKILL')
  kill.addEventListener('abort', killNow, { once: true })
  try {
    const [shown, errors] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ])
    return shown + errors
  } finally {
    kill.removeEventListener('abort', killNow)
  }
}

/**
 * Option that tells the guest's kernel the rate of the processor's time stamp counter, as the host's kernel
 * has found it. Software emulation passes the host's counter on. A guest that measures its rate while it is
 * kept waiting finds too low a one, and its clock runs up to three times as fast as time.
 */
function counterOption(): string {
  const { stdout } = spawnSync('dmesg', { encoding: 'utf8' })
  const found = /tsc: (?:Detected|Refined TSC clocksource calibration:) (\d+)\.(\d{3}) MHz/g
  const rate = [...(stdout ?? '').matchAll(found)].at(-1)
  return rate === undefined ? '' : `tsc_early_khz=${rate[1]}${rate[2]}`
}

let probed: Promise<Accelerator> | undefined

/** Finds out once a process whether KVM runs the guest's first program: some hosts offer it in vain. */
export function accelerator(): Promise<Accelerator> {
  probed ??= probe()
  return probed
}

async function probe(): Promise<Accelerator> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch {
    return 'tcg'
  }
  const folder = mkdtempSync(join(tmpdir(), 'netmem-probe-'))
  try {
    const parts = await machineParts(folder)
    const shown = await runMachine(parts, 'kvm', {
      devices: [],
      memoryMiB: 512,
      processors: 1,
      kill: AbortSignal.timeout(PROBE_MS),
      kernelOptions: 'netmem.probe',
    })
    return shown.includes('netmem: the guest runs') ? 'kvm' : 'tcg'
  } finally {
    rmSync(folder, { recursive: true })
  }
}
