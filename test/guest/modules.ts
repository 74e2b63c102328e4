/** Modules of the guest's kernel, in the order in which they can be inserted. */

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { basename, join } from 'node:path'
import { cacheFolder } from './cache.ts'
import { outputOf } from './commands.ts'
import type { Kernel } from './debian.ts'

/**
 * Unpacks modules with all that they depend on, into the cache.
 *
 * @returns Paths of `.ko` files: what a module depends on stands before it.
 */
export async function unpackedModules(
  kernel: Kernel,
  names: readonly string[],
): Promise<readonly string[]> {
  const archives = new Map(
    readdirSync(kernel.modules, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ko.xz'))
      .map((path) => [moduleName(basename(path, '.ko.xz')), path]),
  )
  const folder = join(cacheFolder(), `modules-${kernel.release}`)
  mkdirSync(folder, { recursive: true })
  const ordered = new Set<string>()
  const add = async (name: string): Promise<void> => {
    const archive = archives.get(moduleName(name))
    if (archive === undefined) throw new Error(`Linux ${kernel.release} has no module ${name}.`)
    const file = join(folder, `${moduleName(name)}.ko`)
    if (ordered.has(file)) return
    await unpackFile(join(kernel.modules, archive), file)
    for (const dependency of dependencies(readFileSync(file))) await add(dependency)
    ordered.add(file)
  }
  for (const name of names) await add(name)
  return [...ordered]
}

/** Returns what a module names in its section .modinfo (K: include/linux/module.h, MODULE_INFO). */
export function dependencies(module: Buffer): readonly string[] {
  const start = module.indexOf('\0depends=')
  if (start < 0) return []
  const from = start + '\0depends='.length
  const names = module.toString('latin1', from, module.indexOf(0, from))
  return names.split(',').filter((name) => name !== '')
}

/** The kernel writes hyphens of file names as underscores. */
function moduleName(file: string): string {
  return file.replaceAll('-', '_')
}

async function unpackFile(archive: string, file: string): Promise<void> {
  if (existsSync(file)) return
  const draft = `${file}.${process.pid}`
  copyFileSync(archive, `${draft}.xz`)
  await outputOf('xz', ['-d', `${draft}.xz`])
  renameSync(draft, file)
}
