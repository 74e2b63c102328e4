// The linter's own test: every import against the layers is an error, so is every cast, and what
// is allowed is not. It lints made-up files in a temporary folder under this project's biome.json.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')

const core = ['errors', 'random', 'netmem', 'pool', 'providers']
const upToConnection = [...core, 'wire', 'connection']
const transports = ['net', 'http', 'stack', 'linux', 'vfio-user', 'gvnic', 'webgpu']
const outside = ['node:fs', 'commander']
/** Layers that each layer may import, besides itself. */
const allowed = {
  errors: [],
  random: [],
  netmem: ['errors'],
  pool: ['errors', 'random', 'netmem'],
  providers: ['errors', 'random', 'netmem', 'pool'],
  index: core,
  testing: [...core, 'connection', ...outside],
  wire: ['errors', 'random'],
  connection: [...core, 'wire', ...outside],
  net: [...upToConnection, ...outside],
  http: [...upToConnection, 'net', ...outside],
  stack: [...upToConnection, ...outside],
  linux: [...upToConnection, 'net', ...outside],
  'vfio-user': ['errors', 'random', 'wire', ...outside],
  gvnic: ['errors', 'random', 'wire', 'vfio-user', ...outside],
  webgpu: [...upToConnection, ...outside],
  observe: [...upToConnection, ...transports, ...outside],
  cli: [...upToConnection, ...transports, 'observe', ...outside],
}
const targets = [
  ...upToConnection,
  ...transports,
  'observe',
  'cli',
  'testing',
  ...outside,
  'netmem/net',
]
const isFile = (layer) => ['errors', 'random', 'netmem', 'index', 'connection'].includes(layer)

/** Returns the specifier by which a file of layer `from` imports `to`. */
function specifier(from, to) {
  if (!core.includes(to) && !(to in allowed)) return to
  return `${isFile(from) ? './' : '../../'}${to}${isFile(to) ? '.ts' : '/index.ts'}`
}

/** Lints the sources, keyed by path. Returns the exit code and `path:line` of each complaint. */
function lint(rule, sources) {
  const tree = mkdtempSync(join(tmpdir(), 'netmem-layers-'))
  try {
    for (const file of readdirSync(root)) {
      if (file === 'biome.json' || file.endsWith('.grit')) {
        copyFileSync(join(root, file), join(tree, file))
      }
    }
    for (const [path, source] of Object.entries(sources)) {
      mkdirSync(join(tree, dirname(path)), { recursive: true })
      writeFileSync(join(tree, path), source)
    }
    const options = ['--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none']
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [biome, 'lint', `--only=${rule}`, ...options, '.'],
      { cwd: tree, encoding: 'utf8' },
    )
    assert.notEqual(stdout, '', stderr)
    const complaints = JSON.parse(stdout).diagnostics.map(({ category, location }) => {
      assert.ok(category.endsWith(rule), `${category} at ${location.path}`)
      return `${location.path}:${location.start.line}`
    })
    return { status, complaints: new Set(complaints) }
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

test('each layer may import what stands left of it, and nothing else', () => {
  const sources = {}
  const expected = new Map()
  for (const [layer, may] of Object.entries(allowed)) {
    const path = isFile(layer) ? `src/${layer}.ts` : `src/${layer}/deeper/it.ts`
    const others = targets.filter((target) => target !== layer)
    sources[path] = others.map((to) => `import '${specifier(layer, to)}'\n`).join('')
    for (const [index, to] of others.entries()) {
      expected.set(`${path}:${index + 1}`, { arrow: `${layer} -> ${to}`, legal: may.includes(to) })
    }
  }
  const { status, complaints } = lint('noRestrictedImports', sources)
  assert.notEqual(status, 0)
  for (const [place, { arrow, legal }] of expected) {
    assert.equal(complaints.has(place), !legal, arrow)
  }
})

test("the stack's folders hold the wall between its two threads", () => {
  const folders = ['link', 'rings', 'device', 'host', 'replay']
  const may = {
    link: ['rings'],
    rings: ['link'],
    device: ['link', 'rings'],
    host: ['link', 'rings'],
    replay: ['link', 'rings', 'host'],
  }
  const sources = {}
  const expected = new Map()
  for (const [folder, legal] of Object.entries(may)) {
    const others = folders.filter((other) => other !== folder)
    const up = folder === 'host' || folder === 'device' ? '../..' : '..'
    const path = `src/stack/${folder}/${up === '..' ? '' : 'deeper/'}it.ts`
    sources[path] = others.map((to) => `import '${up}/${to}/it.ts'\n`).join('')
    for (const [index, to] of others.entries()) {
      expected.set(`${path}:${index + 1}`, {
        arrow: `${folder} -> ${to}`,
        legal: legal.includes(to),
      })
    }
  }
  // The host's end of the device has a folder of that name, which its neighbours import.
  sources['src/stack/host/driver/it.ts'] = "import '../device/it.ts'\nimport '../../device/it.ts'\n"
  sources['src/stack/index.ts'] = "import './host/device/it.ts'\nimport './device/it.ts'\n"
  for (const path of ['src/stack/host/driver/it.ts', 'src/stack/index.ts']) {
    expected.set(`${path}:1`, { arrow: `${path} -> host/device`, legal: true })
    expected.set(`${path}:2`, { arrow: `${path} -> device`, legal: false })
  }
  const { complaints } = lint('noRestrictedImports', sources)
  for (const [place, { arrow, legal }] of expected) {
    assert.equal(complaints.has(place), !legal, arrow)
  }
})

test('the wall stands at every depth of its folders', () => {
  const illegal = {
    'src/stack/host/it.ts': '../device/it.ts',
    'src/stack/host/driver/deeper/it.ts': '../../../device/nic/it.ts',
    'src/stack/replay/deeper/it.ts': '../../device/it.ts',
    'src/stack/device/it.ts': '../host/it.ts',
    'src/stack/device/nic/deeper/it.ts': '../../../host/device/it.ts',
  }
  const legal = {
    'src/stack/host/other.ts': './device/it.ts',
    'src/stack/replay/deeper/other.ts': '../../host/device/it.ts',
  }
  const sources = Object.entries({ ...illegal, ...legal })
  const { complaints } = lint(
    'noRestrictedImports',
    Object.fromEntries(sources.map(([path, to]) => [path, `import '${to}'\n`])),
  )
  assert.deepEqual(complaints, new Set(Object.keys(illegal).map((path) => `${path}:1`)))
})

test('system calls are in linux/sys/, which knows nothing above it, and koffi is there alone', () => {
  const above = ['../netlink/it.ts', '../index.ts', '../../connection.ts']
  const below = ['./it.ts', '../../errors.ts', '../../pool/it.ts', '../../wire/it.ts', 'koffi']
  const layers = ['net', 'http', 'stack', 'linux', 'linux/netlink', 'webgpu', 'observe', 'cli']
  const importOf = (to) => `import '${to}'\n`
  const { complaints } = lint('noRestrictedImports', {
    'src/linux/sys/above.ts': above.map(importOf).join(''),
    'src/linux/sys/below.ts': below.map(importOf).join(''),
    'src/connection.ts': importOf('koffi'),
    ...Object.fromEntries(layers.map((layer) => [`src/${layer}/it.ts`, importOf('koffi')])),
  })
  assert.deepEqual(
    [...complaints].sort(),
    [
      ...above.map((_, index) => `src/linux/sys/above.ts:${index + 1}`),
      'src/connection.ts:1',
      ...layers.map((layer) => `src/${layer}/it.ts:1`),
    ].sort(),
  )
})

test('http/ takes of net/ its face, what internal.ts passes on, and chunk-frags.ts', () => {
  const files = [
    'index',
    'internal',
    'receivers/chunk-frags',
    'arguments',
    'driver/page-supply',
    'receivers/view',
  ]
  const path = 'src/http/client/it.ts'
  const source = files.map((file) => `import '../../net/${file}.ts'\n`).join('')
  const { complaints } = lint('noRestrictedImports', { [path]: source })
  assert.deepEqual([...complaints], [`${path}:4`, `${path}:5`, `${path}:6`])
})

test('every way to write an import is held to the layers', () => {
  const source = [
    "import type { A } from '../net/index.ts'",
    "export * from '../net/index.ts'",
    "export type { B } from '../net/index.ts'",
    "export const c = await import('../net/index.ts')",
  ]
  const { complaints } = lint('noRestrictedImports', { 'src/pool/a.ts': source.join('\n') })
  assert.equal(complaints.size, source.length)
  const type = "export type D = import('../net/index.ts').D"
  assert.equal(lint('plugin', { 'src/pool/a.ts': type }).complaints.size, 1)
  const hidden = [
    'export const e = await import(`../net/index.ts`)',
    "export const f = createRequire(import.meta.url)('../net/index.ts')",
  ]
  assert.equal(lint('plugin', { 'src/pool/a.ts': hidden.join('\n') }).complaints.size, 2)
})

test('circles of imports are errors, those of types too', () => {
  const { complaints } = lint('noImportCycles', {
    'src/pool/a.ts': "import type { B } from './b.ts'\nexport interface A {\n  readonly b: B\n}\n",
    'src/pool/b.ts': "import type { A } from './a.ts'\nexport interface B {\n  readonly a: A\n}\n",
  })
  assert.deepEqual(complaints, new Set(['src/pool/a.ts:1', 'src/pool/b.ts:1']))
})

test('tests may use node, packages and testing/, and reach no higher than their layer', () => {
  const fine = "import 'node:test'\nimport 'fast-check'\nimport '../testing/index.ts'\n"
  const { complaints } = lint('noRestrictedImports', {
    'src/pool/a.test.ts': `${fine}import '../net/index.ts'`,
    'src/net/a.test.ts': `${fine}import '../cli/main.ts'`,
    'src/errors.types.test.ts': `${fine}import './cli/main.ts'`,
  })
  assert.deepEqual(
    complaints,
    new Set(['src/pool/a.test.ts:4', 'src/net/a.test.ts:4', 'src/errors.types.test.ts:4']),
  )
})

test('casts are errors outside src/netmem.ts, tests and benchmarks', () => {
  const fine =
    "import { a as b } from './b.ts'\nexport const c = [b] as const satisfies unknown[]\n"
  const cast = `${fine}export const d = b as unknown\nexport const e = <unknown>b\n`
  const { status, complaints } = lint('plugin', {
    'src/netmem.ts': cast,
    'src/pool/a.test.ts': cast,
    'bench/main.ts': cast,
    'src/pool/a.ts': cast,
    'examples/a.ts': cast,
  })
  assert.notEqual(status, 0)
  assert.deepEqual(
    complaints,
    new Set(['src/pool/a.ts:3', 'src/pool/a.ts:4', 'examples/a.ts:3', 'examples/a.ts:4']),
  )
})
