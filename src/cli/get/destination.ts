/** Destinations of a URL's body. */

import { join } from 'node:path'
import { usage } from '../exit.ts'
import { isFolder } from '../folder.ts'

/** A file, or stdout. */
export type OutputPlace =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdout' }

/** Returns the destination that `--out` gives to `url`, one of `count` URLs. */
export async function destinationOf(
  url: URL,
  out: string | undefined,
  count: number,
): Promise<OutputPlace> {
  if (out === '-') return { kind: 'stdout' }
  if (out === '') throw usage('--out names nothing; name a file, a folder, or -.')
  if (out === undefined) return { kind: 'file', path: nameOf(url) }
  if (out.endsWith('/') || (await isFolder(out))) {
    return { kind: 'file', path: join(out, nameOf(url)) }
  }
  if (count > 1) throw usage(`--out ${out} is one file for ${count} URLs; name a folder, or -.`)
  return { kind: 'file', path: out }
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
