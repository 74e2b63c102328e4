/** Destinations of a URL's body. */

import { join } from 'node:path'
import { usage } from '../exit.ts'
import { isFolder } from '../folder.ts'

/** Returns the file that `--out` gives to `url`, one of `count` URLs, or undefined for stdout. */
export async function destinationOf(
  url: URL,
  out: string | undefined,
  count: number,
): Promise<string | undefined> {
  if (out === '-') return undefined
  if (out === '') throw usage('--out names nothing; name a file, a folder, or -.')
  if (out === undefined) return nameOf(url)
  if (out.endsWith('/') || (await isFolder(out))) return join(out, nameOf(url))
  if (count > 1) throw usage(`--out ${out} is one file for ${count} URLs; name a folder, or -.`)
  return out
}

/** Returns the last part of the URL's path. Throws for a name that leaves the folder or hides in it. */
function nameOf(url: URL): string {
  const last = url.pathname.split('/').at(-1) ?? ''
  const name = decoded(last)
  if (name === '' || name.startsWith('.') || /[/\\\0]/.test(name)) {
    throw usage(`${url.origin}${url.pathname} names no file; say where it goes with --out.`)
  }
  return name
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
