/**
 * Mirrors URLs into files, four at a time, in memory of 16 MiB however large they are and however
 * slow the disk. What it prints can be checked with `sha256sum -c`. Run again after a failure, it
 * continues where each file broke off, if the server says which version it sends.
 *
 *   node build/examples/mirror.js DIRECTORY URL...
 */

import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createPool, hostProvider, isNetmemError } from 'netmem'
import { getInto } from 'netmem/http'

const AT_ONCE = 4

const [, , directory = '.', ...urls] = process.argv
const pool = createPool(hostProvider({ pages: 64, pageSize: 256 * 1024 }))

/** Returns the file of a URL: one for each URL, always inside the directory. */
function pathOf({ host, pathname, search }: URL): string {
  const name = pathname.endsWith('/') ? `${pathname}index.html` : pathname
  return join(directory, host, name + encodeURIComponent(search))
}

async function mirror(url: URL): Promise<void> {
  const path = pathOf(url)
  await mkdir(dirname(path), { recursive: true })
  const { sha256 } = await getInto(url, { path, pool, resume: true }, { sha256: true })
  console.log(`${sha256}  ${path}`)
}

// All workers take from one list. A file that fails stops no other file.
const rest = urls.values()

async function work(): Promise<void> {
  for (const url of rest) {
    try {
      await mirror(new URL(url))
    } catch (error) {
      console.error(`${url}: ${isNetmemError(error) ? error.message : error}`)
      process.exitCode = 1
    }
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work))
