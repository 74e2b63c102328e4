/** C beside the benchmarks, where there is a compiler. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { has, outputOf } from './processes.ts'

/** A compiled file, which is removed with this object. */
export interface Compiled extends Disposable {
  readonly path: string
}

/** Compiles `bench/<source>` with `cc` and further options, or `undefined` without a compiler. */
export async function compile(
  source: string,
  ...options: readonly string[]
): Promise<Compiled | undefined> {
  const file = fileURLToPath(new URL(`../../bench/${source}`, import.meta.url))
  if (!existsSync(file) || !has('cc')) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'netmem-bench-'))
  const path = join(folder, 'compiled')
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    await outputOf('cc', ['-O2', '-o', path, file, ...options])
  } catch (error) {
    remove()
    throw error
  }
  return { path, [Symbol.dispose]: remove }
}
