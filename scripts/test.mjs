// Runs the tests of the last build: node scripts/test.mjs [--boot | --guest] [part of a file's path]...
//
// `--boot` runs the tests that boot a guest, one after the other, and `--guest` those that are run
// within one: see test/guest/README.md.
//
// The list of files is explicit: `node --test <folder>` finds other things on every version of
// Node, and is content with nothing. It is made from the sources, so what an earlier build left in
// dist/ does not run.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { values, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: { boot: { type: 'boolean' }, guest: { type: 'boolean' } },
})
const boot = values.boot === true
const guest = values.guest === true

const isBoot = (path) => /\.boot\.test\.\w+$/.test(path)
// The guest's kernel is new: what is said of Linux there is tested again.
const isGuest = (path) => path.startsWith('dist/linux/') || /\.guest\.test\.\w+$/.test(path)
const isHost = (path) => !isBoot(path) && !/\.guest\.test\.\w+$/.test(path)
const isChosen = boot ? isBoot : guest ? isGuest : isHost

const tests = (folder, suffix) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(suffix))
    : []
const built = (from, to) =>
  tests(from, '.test.ts').map((path) => join(to, path.replace(/\.ts$/, '.js')))

const files = [
  ...built('src', 'dist'),
  ...built('examples', 'build/examples'),
  ...built('test', 'build/test'),
  ...['frozen', 'scripts'].flatMap((folder) =>
    tests(folder, '.test.mjs').map((path) => join(folder, path)),
  ),
]
  .filter(isChosen)
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort()

if (files.length === 0) {
  console.error(
    `no test file${filters.length > 0 ? ` has in its path: ${filters.join(', ')}` : ''}`,
  )
  process.exit(1)
}

const { status, error } = spawnSync(
  process.execPath,
  [
    '--expose-gc',
    '--test',
    `--test-concurrency=${boot ? 1 : 2}`,
    // ms for each test, suite and file. It ends what hangs: a busy machine never needs as long.
    '--test-timeout=600000',
    '--test-reporter=./scripts/reporter.mjs',
    ...files,
  ],
  { stdio: 'inherit' },
)
if (error) throw error
process.exit(status ?? 1)
