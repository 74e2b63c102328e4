import { readFileSync } from 'node:fs'

/** Returns the trimmed text of a small file, or undefined if it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
