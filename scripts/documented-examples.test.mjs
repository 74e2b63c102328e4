// Compiles and runs every example of the README, of docs/ and of the docstrings, so that none goes stale.
// An example of a page is a program by itself, unless it begins with "```ts fragment".
// documented-examples.prelude.mjs brings names that a docstring's example takes for granted (`pool`,
// `connection`, `server`), and a peer.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePorts } from '../dist/testing/free-ports.test.helper.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'build', 'documented-examples')

function examplesOf(file) {
  const text = readFileSync(join(root, file), 'utf8')
  const fences = file.endsWith('.md')
    ? text.matchAll(/^```ts\n(.*?)^```/gms)
    : text.matchAll(/^ +\* ```ts\n(.*?)^ +\* ```/gms)
  return [...fences].map(([, code], at) => ({
    name: `${file.replace(/\W+/g, '-')}-${at + 1}`,
    alone: file.endsWith('.md'),
    // False for examples that set up network cards, or make interfaces.
    runs: file !== join('docs', 'linux.md'),
    code: file.endsWith('.md') ? code : code.replace(/^ +\* ?/gm, ''),
  }))
}

const sources = readdirSync(join(root, 'src'), { recursive: true })
  .filter((path) => path.endsWith('.ts') && !path.includes('.test.'))
  .map((path) => join('src', path))
const pages = readdirSync(join(root, 'docs'))
  .filter((path) => path.endsWith('.md'))
  .map((path) => join('docs', path))
const examples = ['README.md', ...pages.sort(), ...sources.sort()].flatMap(examplesOf)

const globals = `
import type { Server } from 'node:http'
import type { Page, PagePool } from 'netmem'
import type { Connection } from 'netmem/net'
declare global {
  var pool: PagePool<Page>
  var connection: Connection
  var server: Server
}
`

const run = promisify(execFile)

test('every documented example compiles and runs', { concurrency: 4 }, async (t) => {
  // The ports in the examples may be taken on this machine.
  const free = await freePorts(2 * examples.length)
  assert.ok(examples.length >= 10, `only ${examples.length} examples found`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'alone'), { recursive: true })
  writeFileSync(join(folder, 'globals.d.ts'), globals)
  const ports = new Map()
  for (const { name, alone, code } of examples) {
    const [raw, origin] = free.splice(0, 2)
    ports.set(name, `${raw},${origin}`)
    const placed = code.replaceAll('5201', `${raw}`).replaceAll('5202', `${origin}`)
    const place = alone ? join(folder, 'alone') : folder
    writeFileSync(join(place, `${name}.ts`), `${placed}\nexport {}\n`)
  }
  const options = {
    extends: '../../tsconfig.base.json',
    compilerOptions: {
      composite: false,
      incremental: false,
      isolatedDeclarations: false,
      declaration: false,
      declarationMap: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      // The build has checked the declarations.
      skipLibCheck: true,
      rootDir: '.',
      outDir: 'out',
      types: ['node'],
    },
    include: ['*.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
  const alone = { ...options, extends: '../../../tsconfig.base.json' }
  alone.compilerOptions = { ...options.compilerOptions, outDir: '../out' }
  writeFileSync(join(folder, 'alone', 'tsconfig.json'), JSON.stringify(alone))
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  for (const project of [folder, join(folder, 'alone')]) {
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stdout)
  }

  const prelude = new URL('documented-examples.prelude.mjs', import.meta.url).href
  const queue = examples.filter(({ runs }) => runs)
  const next = async () => {
    for (let example = queue.shift(); example !== undefined; example = queue.shift()) {
      const file = join(folder, 'out', `${example.name}.js`)
      await t.test(example.name, () =>
        run(process.execPath, ['--unhandled-rejections=strict', '--import', prelude, file], {
          cwd: folder,
          timeout: 300_000,
          env: { ...process.env, EXAMPLE: example.code, PORTS: ports.get(example.name) },
        }),
      )
    }
  }
  // Each spends most of its time waiting.
  await Promise.all([next(), next(), next(), next()])
})
