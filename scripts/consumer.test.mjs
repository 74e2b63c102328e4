// The published declarations compile in a program stricter and older than this one: no
// skipLibCheck, no esnext.disposable, and for the core no types of Node's either.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')

/** Compiles a program that imports the named entry points. Returns what the compiler says. */
function compile(entries, types) {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-consumer-'))
  try {
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(root, join(folder, 'node_modules/netmem'), 'dir')
    const program = entries.map((entry, i) => `export * as e${i} from '${entry}'\n`).join('')
    writeFileSync(join(folder, 'program.mts'), program)
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2022'],
      types,
      typeRoots: [join(root, 'node_modules/@types')],
      module: 'nodenext',
      strict: true,
      skipLibCheck: false,
      noEmit: true,
    }
    const config = { compilerOptions, files: ['program.mts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    return spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('the core compiles without esnext.disposable and without the types of Node', () => {
  assert.equal(compile(['netmem'], []), '')
})

test('every entry point compiles without esnext.disposable', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const entries = Object.keys(exports)
    .filter((path) => !path.endsWith('.json'))
    .map((path) => path.replace('.', 'netmem'))
  assert.ok(entries.includes('netmem/net'), entries.join())
  assert.equal(compile(entries, ['node']), '')
})
