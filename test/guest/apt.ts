/**
 * Debian's archive through a private configuration of apt: the host's proxy and mirror settings, but
 * sources, lists and downloads in the cache. Nothing is installed, and no chroot is needed.
 */

import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './cache.ts'
import { type Ended, outputOf, run } from './commands.ts'

/** Debian's stable release, whose backports have QEMU and kernels that are new enough. */
const SUITE = 'trixie'
const MIRROR = 'http://deb.debian.org/debian'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
/** Lists of packages are fetched again when they are older. */
const DAY_MS = 24 * 3600 * 1000

/** Writes the configuration, and returns the arguments of apt that name it. */
function configuration(): readonly string[] {
  const apt = join(cacheFolder(), 'apt')
  mkdirSync(join(apt, 'lists/partial'), { recursive: true })
  mkdirSync(join(apt, 'archives/partial'), { recursive: true })
  const suites = [SUITE, `${SUITE}-backports`]
  const sources = suites.map((suite) => `deb [signed-by=${KEYRING}] ${MIRROR} ${suite} main\n`)
  writeFileSync(join(apt, 'sources.list'), sources.join(''))
  // No package counts as installed, so that closures are complete.
  writeFileSync(join(apt, 'status'), '')
  const settings = {
    'Dir::State': apt,
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': apt,
    'Dir::Cache::archives': join(apt, 'archives'),
    'Dir::Cache::pkgcache': join(apt, 'pkgcache.bin'),
    'Dir::Cache::srcpkgcache': join(apt, 'srcpkgcache.bin'),
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'APT::Architecture': 'amd64',
    'APT::Default-Release': `${SUITE}-backports`,
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'APT::Update::Error-Mode': 'any',
    'Acquire::Check-Date': 'true',
    'Acquire::Check-Valid-Until': 'true',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '30',
    // The cache has a lock of its own, see `locked`.
    'Debug::NoLocking': 'true',
  }
  const hooks = [
    'APT::Architectures',
    'APT::Update::Post-Invoke',
    'APT::Update::Post-Invoke-Success',
  ]
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`)
  // The host's hooks clean the host's caches, which are none of ours.
  lines.push(...hooks.map((name) => `#clear ${name};\n`))
  writeFileSync(join(apt, 'apt.conf'), lines.join(''))
  return ['-c', join(apt, 'apt.conf')]
}

/** Runs a program of apt under the lock of the cache: one at a time. */
function locked(program: string, args: readonly string[], cwd?: string): Promise<Ended> {
  const lock = join(cacheFolder(), 'lock')
  const options = cwd === undefined ? {} : { cwd }
  return run('flock', [lock, program, ...configuration(), ...args], options)
}

/** Returns what apt says of a Release file that has expired, or is too new, or undefined. */
export function expired(messages: string): string | undefined {
  return /Release file for \S+ is (expired|not valid yet) \([^)]*\)/.exec(messages)?.[0]
}

let updated: Promise<void> | undefined

/** Fetches the lists of packages, once a process and once a day. */
function updateLists(): Promise<void> {
  updated ??= update()
  return updated
}

async function update(): Promise<void> {
  if (process.arch !== 'x64') {
    throw new Error(
      `The guest runs the host's Node.js, and is x86-64. This host is ${process.arch}.`,
    )
  }
  if (!existsSync(KEYRING)) {
    throw new Error(`${KEYRING} is not here: install the package debian-archive-keyring.`)
  }
  const stamp = join(cacheFolder(), 'apt-updated')
  if (existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < DAY_MS) return
  let { code, errors } = await locked('apt-get', ['update', '-qq'])
  const reason = expired(errors)
  if (code !== 0 && reason !== undefined) {
    console.error(`${reason}. Trying once without its date.`)
    const undated = ['-o', 'Acquire::Check-Valid-Until=false', '-o', 'Acquire::Check-Date=false']
    ;({ code, errors } = await locked('apt-get', ['update', '-qq', ...undated]))
  }
  if (code === 0) {
    writeFileSync(stamp, '')
  } else if (existsSync(stamp)) {
    console.error(`apt cannot fetch Debian's lists of packages, so older ones serve: ${errors}`)
  } else {
    throw new Error(`apt cannot fetch the lists of packages of ${MIRROR}: ${errors}`)
  }
}

const candidates = new Map<string, Promise<string>>()

/** Returns the version that apt would take of a package, asked once a process. Throws if the archive has none. */
export function candidate(name: string): Promise<string> {
  let version = candidates.get(name)
  if (version === undefined) {
    version = askCandidate(name)
    candidates.set(name, version)
  }
  return version
}

async function askCandidate(name: string): Promise<string> {
  await updateLists()
  const { output } = await locked('apt-cache', ['policy', name])
  const version = /^ {2}Candidate: (\S+)$/m.exec(output)?.[1]
  if (version === undefined || version === '(none)') {
    throw new Error(`${SUITE} and ${SUITE}-backports of Debian have no package ${name}.`)
  }
  return version
}

/** Returns the names of packages that match a pattern of apt-cache(8). */
export async function packagesNamed(pattern: string): Promise<readonly string[]> {
  await updateLists()
  const { output } = await locked('apt-cache', ['search', '--names-only', pattern])
  return output.split('\n').flatMap((line) => line.split(' ')[0] || [])
}

/** Downloads one package and unpacks it into `folder`. */
export async function unpack(name: string, version: string, folder: string): Promise<void> {
  const { code, errors } = await locked(
    'apt-get',
    ['download', '-qq', `${name}=${version}`],
    folder,
  )
  if (code !== 0) throw new Error(`apt cannot download ${name} ${version}: ${errors}`)
  await extract(folder, folder)
}

/** Downloads a package with all that it depends on, and unpacks it into `folder`. */
export async function unpackClosure(name: string, folder: string): Promise<void> {
  const archives = join(folder, 'archives')
  mkdirSync(join(archives, 'partial'), { recursive: true })
  const { code, errors } = await locked('apt-get', [
    ...['install', '-qq', '-y', '--download-only', '-o', `Dir::Cache::archives=${archives}`],
    name,
  ])
  if (code !== 0) throw new Error(`apt cannot download ${name} and what it needs: ${errors}`)
  await extract(archives, folder)
  await outputOf('rm', ['-r', archives])
}

/** Unpacks the packages of a folder without their install scripts, and removes them. */
async function extract(archives: string, folder: string): Promise<void> {
  for (const file of readdirSync(archives).filter((each) => each.endsWith('.deb'))) {
    await outputOf('dpkg-deb', ['-x', join(archives, file), folder])
    await outputOf('rm', [join(archives, file)])
  }
}
