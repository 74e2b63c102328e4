/**
 * The kernel's own tests of network cards, built from Debian's source into the cache. Nothing of them is
 * kept in the checkout: their licence is not ours.
 */

import { cpSync, mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { cached } from './cache.ts'
import { outputOf } from './commands.ts'
import { debianPackage, kernelSource } from './debian.ts'
import { COMPARED_SOURCE } from './needs.ts'

/** Folder of the tests in the source. */
const TESTS = 'tools/testing/selftests'
const YNL = 'tools/net/ynl'

/** Programs of the tests, by the path of their source without `.c`: those that speak netlink. */
const NETLINK_PROGRAMS = ['drivers/net/hw/ncdevmem', 'drivers/net/hw/toeplitz']
/** The others. */
const PROGRAMS = ['net/lib/csum', 'net/lib/gro', 'net/lib/xdp_helper']

/** Families of netlink that the programs speak, with more arguments of the generator for each. */
const FAMILIES: ReadonlyMap<string, readonly string[]> = new Map([
  ['netdev', []],
  // K: tools/net/ynl/generated/Makefile
  ['ethtool', ['--user-header', 'linux/ethtool_netlink.h', '--exclude-op', 'stats-get']],
])

/** The kernel's tests, ready to run. */
export interface KernelTests {
  /** Folder `tools/testing/selftests` of the source, with the programs beside their sources. */
  readonly folder: string
  /** Python with PyYAML and jsonschema, which runs the tests. */
  readonly python: string
}

/** Builds the tests if need be. They need a C compiler, and Python with PyYAML and jsonschema. */
export async function kernelTests(): Promise<KernelTests> {
  const source = await kernelSource(COMPARED_SOURCE)
  // The program itself: a version manager's launcher takes seconds in the guest.
  const find = 'import sys, yaml, jsonschema; print(sys.executable)'
  const python = (await outputOf('python3', ['-c', find])).trim()
  const tree = await cached(`${basename(source)}_tests`, async (draft) => {
    cpSync(source, draft, { recursive: true })
    await build(draft, python)
  })
  return { folder: join(tree, TESTS), python }
}

/** Compiles a program for the guest: static, and by the headers of its kernel, which the host's lack. */
export async function compile(
  source: string,
  file: string,
  folders: readonly string[] = [],
  more: readonly string[] = [],
): Promise<void> {
  const headers = join(await debianPackage('linux-libc-dev'), 'usr/include')
  const all = [...folders, headers, join(headers, 'x86_64-linux-gnu')]
  const include = all.map((folder) => `-I${folder}`)
  // Warnings of the kernel's own sources are none of ours.
  const options = ['-static', '-O1', '-w', '-std=gnu11', ...include]
  await outputOf('cc', [...options, '-o', file, source, ...more])
}

async function build(tree: string, python: string): Promise<void> {
  const generated = join(tree, YNL, 'generated')
  mkdirSync(generated, { recursive: true })
  for (const [family, more] of FAMILIES) {
    for (const [mode, suffix] of [
      ['--header', 'h'],
      ['--source', 'c'],
    ] as const) {
      const spec = join(tree, 'Documentation/netlink/specs', `${family}.yaml`)
      const file = join(generated, `${family}-user.${suffix}`)
      const generator = join(tree, YNL, 'pyynl/ynl_gen_c.py')
      await outputOf(python, [
        ...[generator, '--mode', 'user', mode, '--spec', spec, '-o', file],
        ...more,
      ])
    }
  }
  const folders = [join(tree, YNL, 'lib'), generated, join(tree, TESTS)]
  const netlink = [
    join(tree, YNL, 'lib/ynl.c'),
    ...[...FAMILIES.keys()].map((family) => join(generated, `${family}-user.c`)),
  ]
  const program = (path: string, more: readonly string[]): Promise<void> => {
    const file = join(tree, TESTS, path)
    return compile(`${file}.c`, file, folders, more)
  }
  for (const path of NETLINK_PROGRAMS) await program(path, netlink)
  for (const path of PROGRAMS) await program(path, [])
  // Python translates what it imports once, here, and not in the guest each time.
  const imported = ['drivers/net', 'net/lib'].map((folder) => join(tree, TESTS, folder))
  await outputOf(python, ['-m', 'compileall', '-q', ...imported, join(tree, YNL, 'pyynl')])
}
