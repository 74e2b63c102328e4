/** Options that the running kernel was built with. */

import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** Enabled build options, without CONFIG_. */
export type KernelConfig = ReadonlySet<string>

/**
 * Returns the kernel's build options from the first file that can be read, or `undefined` if the
 * kernel and its distribution hide them.
 *
 * @param root Folder of the file system.
 */
export function kernelConfig(root = '/', version: string = release()): KernelConfig | undefined {
  const paths = [
    // The kernel itself, if it is built with CONFIG_IKCONFIG_PROC.
    'proc/config.gz',
    // Debian, Ubuntu, RHEL.
    `boot/config-${version}`,
    // Fedora, and Debian from Linux 7.3 on. A container without /boot may have it.
    `usr/lib/modules/${version}/config`,
  ]
  for (const path of paths) {
    const options = readOptions(join(root, path))
    if (options !== undefined) return options
  }
  return undefined
}

function readOptions(path: string): KernelConfig | undefined {
  try {
    const bytes = readFileSync(path)
    const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
    return new Set(Array.from(text.matchAll(/^CONFIG_(\w+)=[ym]$/gm), ([, name = '']) => name))
  } catch {
    return undefined
  }
}
