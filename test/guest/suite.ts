/**
 * `npm run test:guest [-- PART...]`: first the tests that boot guests of their own, then one boot in
 * which `node --test` runs all tests that are to run there: those of `src/linux` and all
 * `*.guest.test.ts`. With arguments it is that one boot alone, for files with a part in their path.
 * With `--soak` it is that one boot with the long loops alone.
 */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { debianPackage, kernelSource } from './debian.ts'
import { GuestError, runInGuest } from './guest.ts'
import { COMPARED_SOURCE } from './needs.ts'

/** The suite takes half of it where the host does nothing else. */
const TIMEOUT_MS = 600_000
const SOAK_TIMEOUT_MS = 3 * 3_600_000

const args = process.argv.slice(2)
if (args.length === 0) {
  const script = fileURLToPath(new URL('../../../scripts/test.mjs', import.meta.url))
  const { status } = spawnSync(process.execPath, [script, '--boot'], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
const started = performance.now()
try {
  const { exitCode, accelerator, bootMs, starved } = await runInGuest(
    'cd "$CHECKOUT" && exec node scripts/test.mjs --guest $ARGUMENTS',
    {
      environment: {
        ARGUMENTS: args.join(' '),
        NETMEM_SOAK: process.env['NETMEM_SOAK'] ?? '1',
        NETMEM_CI: process.env['NETMEM_CI'] ?? '',
        NETMEM_KERNEL_HEADERS: join(await debianPackage('linux-libc-dev'), 'usr/include'),
        NETMEM_KERNEL_SOURCE: await kernelSource(COMPARED_SOURCE),
        PYTHONDONTWRITEBYTECODE: '1',
      },
      modules: ['bridge', 'dummy', 'tun', 'veth', 'virtio_net'],
      network: [{ kind: 'virtio' }],
      timeoutMs: args.includes('--soak') ? SOAK_TIMEOUT_MS : TIMEOUT_MS,
      onOutput: (bytes) => process.stdout.write(bytes),
    },
  )
  for (const line of starved) console.log(`The host was too busy for a guest: ${line}`)
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(`guest: ${accelerator}, script after ${bootMs} ms, ${seconds} s in all`)
  process.exitCode = exitCode
} catch (error) {
  if (!(error instanceof GuestError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
