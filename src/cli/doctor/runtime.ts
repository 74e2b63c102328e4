/** Features of this Node.js: its version, reads into posted memory, the kinds of memory. */

import type { PageProvider } from '../../index.ts'
import { canPost } from '../../net/driver/posted-reads.ts'
import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import { fixedMemory } from '../../providers/aligned-memory.ts'
import { externalProvider } from '../../providers/external.ts'
import { hostProvider } from '../../providers/host.ts'
import { sharedProvider } from '../../providers/shared.ts'
import { describeError } from '../exit.ts'
import { Feature, type Finding, finder } from './finding.ts'

/** `engines` of package.json. */
const OLDEST_NODE = [20, 19] as const

export function runtimeFindings(): Finding[] {
  return [nodeVersion(), ...memoryKinds(), postedReads()]
}

function nodeVersion(): Finding {
  const { ok, missing } = finder(Feature.all)
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  const recent = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
  const value = `${process.version}, ${process.platform} ${process.arch}`
  return recent
    ? ok('node', value)
    : missing('node', value, `Install Node.js ${OLDEST_NODE.join('.')} or newer.`)
}

function postedReads(): Finding {
  const { ok, warn } = finder(Feature.net)
  return canPost()
    ? ok('posted reads', 'sockets read straight into pages')
    : warn(
        'posted reads',
        'this Node.js does not let accepted sockets read into given memory',
        'Data is copied into pages instead, which costs speed: use a release of Node.js that netmem is tested with (20, 24, 26).',
      )
}

const PAGE = { pages: 1, pageSize: 4096 }

function memoryKinds(): Finding[] {
  return [
    memory('host memory', () => hostProvider(PAGE)),
    memory('shared memory', () => sharedProvider(PAGE)),
    memory('WebAssembly memory', () => {
      const memory = fixedMemory(PAGE.pageSize)
      if (memory === undefined) throw new Error('WebAssembly is switched off')
      return externalProvider(memory, { pageSize: PAGE.pageSize })
    }),
  ]
}

/** Allocates, writes and puts one page. */
function memory(name: string, provider: () => PageProvider): Finding {
  const { ok, missing } = finder(Feature.memory)
  try {
    const pool = createPool(provider())
    const page: Page | undefined = pool.alloc()
    if (page === undefined) throw new Error('there is no page in it')
    pool.bytes(page).fill(1)
    pool.put(page)
    void pool.destroy()
    return ok(name, 'pages can be made of it')
  } catch (error) {
    return missing(name, describeError(error).message, 'Use another kind of memory.')
  }
}
