/**
 * Packages of Debian, unpacked in the cache: QEMU, the newest kernel, its headers and its source.
 * Versions are resolved, and each version has a folder of its own.
 */

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { candidate, packagesNamed, unpack, unpackClosure } from './apt.ts'
import { cached, cacheFolder } from './cache.ts'
import { outputOf } from './commands.ts'

/** First series of Linux that the tests are written for. */
const OLDEST = [7, 3] as const

/** Returns the folder with the newest version of one package, without what it depends on. */
export async function debianPackage(name: string): Promise<string> {
  const version = await candidate(name)
  return cached(folderOf(name, version), (draft) => unpack(name, version, draft))
}

/** Returns what {@link debianPackage} has fetched of a package, without asking the network, or undefined. */
export function packageInCache(name: string): string | undefined {
  return inCache(new RegExp(`^${escaped(name)}_[^_]+$`))
}

/** Returns the folder with the newest version of a package and of all that it depends on. */
export async function debianClosure(name: string): Promise<string> {
  const version = await candidate(name)
  return cached(`${folderOf(name, version)}_closure`, (draft) => unpackClosure(name, draft))
}

/** A kernel for the guest. */
export interface Kernel {
  /** Release as `uname -r` prints it in the guest, such as `7.3.4+deb13-amd64`. */
  readonly release: string
  readonly image: string
  /** Holds `kernel/`, with modules in `.ko.xz` files. */
  readonly modules: string
}

let newest: Promise<Kernel> | undefined

/** Returns Debian's newest kernel, from 7.3 on. The archive is asked once a process. */
export function newestKernel(): Promise<Kernel> {
  newest ??= findKernel()
  return newest
}

async function findKernel(): Promise<Kernel> {
  const release = newestRelease(await packagesNamed('^linux-(binary|modules)-[0-9].*-amd64$'))
  const image = await debianPackage(`linux-binary-${release}`)
  const modules = await debianPackage(`linux-modules-${release}`)
  const inside = join('usr/lib/modules', release)
  return { release, image: join(image, inside, 'vmlinuz'), modules: join(modules, inside) }
}

/**
 * Returns folders and files of the newest kernel's source, in a folder of their own.
 *
 * @param paths - Relative to the top of the source, such as `Documentation/netlink`.
 */
export async function kernelSource(paths: readonly string[]): Promise<string> {
  const { release } = await newestKernel()
  const name = `linux-source-${release.split('.', 2).join('.')}`
  const version = await candidate(name)
  return cached(`${folderOf(name, version)}_${partOf(paths)}`, async (draft) => {
    const archive = join(await debianPackage(name), 'usr/src', `${name}.tar.xz`)
    const members = paths.map((path) => `${name}/${path}`)
    await outputOf('tar', ['-xf', archive, '-C', draft, '--strip-components=1', ...members])
    const missing = paths.filter((path) => !existsSync(join(draft, path)))
    if (missing.length > 0) throw new Error(`${archive} lacks ${missing.join(', ')}`)
  })
}

/** Returns what {@link kernelSource} has fetched, without asking the network, or undefined. */
export function sourceInCache(paths: readonly string[]): string | undefined {
  return inCache(new RegExp(`^linux-source-[^_]+_[^_]+_${escaped(partOf(paths))}$`))
}

/**
 * Returns the newest release of the generic x86-64 kernel of which both packages are there.
 * Throws if all are older than 7.3.
 */
export function newestRelease(packages: readonly string[]): string {
  const names = new Set(packages)
  const releases = packages
    .map((name) => /^linux-binary-((\d+)\.(\d+)\.(\d+)\+deb\d+-amd64)$/.exec(name))
    .flatMap((match) => {
      const [, release = '', ...numbers] = match ?? []
      return names.has(`linux-modules-${release}`)
        ? [{ release, numbers: numbers.map(Number) }]
        : []
    })
    .sort((a, b) => compare(b.numbers, a.numbers))
  const [newest] = releases
  if (newest === undefined || compare(newest.numbers, OLDEST) < 0) {
    const found = newest === undefined ? 'none' : newest.release
    throw new Error(
      `The guest needs a kernel of Debian from ${OLDEST.join('.')} on: linux-binary-<release>-amd64 ` +
        `and linux-modules-<release>-amd64. The newest one to be had is ${found}.`,
    )
  }
  return newest.release
}

/** Orders versions by their numbers. A missing number counts as 0. */
function compare(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Returns the last folder that was made among those whose names match. */
function inCache(pattern: RegExp): string | undefined {
  const cache = cacheFolder()
  return readdirSync(cache)
    .filter((name) => pattern.test(name))
    .map((name) => join(cache, name))
    .sort((a, b) => statSync(b).ctimeMs - statSync(a).ctimeMs)[0]
}

/** Name of a part of the source: as long as a file's name may be, for paths of any length. */
function partOf(paths: readonly string[]): string {
  const all = [...paths].sort().join('\n')
  return createHash('sha256').update(all).digest('hex').slice(0, 16)
}

function escaped(text: string): string {
  return text.replace(/[.+]/g, '\\$&')
}

/** Name of a version's folder. Without the epoch: a colon separates folders of a library path. */
function folderOf(name: string, version: string): string {
  return `${name}_${version.replace(/^\d+:/, '')}`
}
