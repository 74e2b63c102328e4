// Runs the tests of the last build: node scripts/test.mjs [--tap] [--boot] [--guest] [--soak] [part of a file's path]...
//
// Without options it runs what belongs to every version of Node. The rest are suites of their own:
// `--tap` runs tests on TAP interfaces, whose peer is the kernel. `--boot` runs tests that boot guests,
// one after the other, and `--guest` those that are run within one (test/guest/README.md). `--soak` runs
// long loops: `*.soak.test.*`, and with NETMEM_SOAK, which makes loops longer, every test that asks for
// its rounds or draws cases at random.
//
// The list of files is explicit: `node --test <folder>` finds other things on every version of
// Node, and is content with nothing. It is made from the sources, so what an earlier build left in
// dist/ does not run.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { values, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    tap: { type: 'boolean' },
    boot: { type: 'boolean' },
    guest: { type: 'boolean' },
    soak: { type: 'boolean' },
  },
})
const { tap = false, boot = false, guest = false, soak = false } = values
const longer = Number(process.env.NETMEM_SOAK ?? 1)

/** Returns the suite that a file belongs to by its name, such as `guest` of `x.guest.test.js`. */
const suiteOf = (path) => /\.(boot|guest|soak|tap)\.test\.\w+$/.exec(path)?.[1]
const hasRounds = (path) =>
  /\/(rounds|fast-check)\.test\.helper\.js/.test(readFileSync(path, 'utf8'))
// The guest's kernel is new: what is said of Linux is tested again there, and compared with the kernel's
// own tool. `x.host.test.js` and `x.types.test.js` ask no kernel.
const isOfGuest = (path) =>
  suiteOf(path) === 'guest' ||
  path === 'scripts/pyynl.test.mjs' ||
  (path.startsWith('dist/linux/') && !/\.(host|types)\.test\./.test(path))
function isChosen(path) {
  if (tap) return suiteOf(path) === 'tap'
  if (boot) return suiteOf(path) === 'boot'
  if (guest) return isOfGuest(path) && (soak ? hasRounds(path) : suiteOf(path) !== 'soak')
  if (!soak) return suiteOf(path) === undefined
  return suiteOf(path) === 'soak' || (longer > 1 && suiteOf(path) === undefined && hasRounds(path))
}

const tests = (folder, suffix) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(suffix))
    : []
const built = (from, to) =>
  tests(from, '.test.ts').map((path) => join(to, path.replace(/\.ts$/, '.js')))

const all = [
  ...built('src', 'dist'),
  ...built('examples', 'build/examples'),
  ...built('test', 'build/test'),
  ...['frozen', 'scripts'].flatMap((folder) =>
    tests(folder, '.test.mjs').map((path) => join(folder, path)),
  ),
]
const files = all
  .filter(isChosen)
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort()

if (files.length === 0) {
  console.error(
    `no test file${filters.length > 0 ? ` has in its path: ${filters.join(', ')}` : ''}`,
  )
  process.exit(1)
}

// Most of the time of a small file is the start of Node.js and the loading of modules. So the files of
// these folders share a process with those of the folders beside them, one file after the other.
const TOGETHER = {
  memory: ['dist/pool', 'dist/providers', 'dist/observe'],
  packets: ['dist/wire', 'dist/stack/device', 'dist/stack/link'],
  host: ['dist/stack/host', 'dist/stack/rings', 'dist/stack/integration'],
  cards: ['dist/gvnic', 'dist/vfio-user'],
  linux: ['dist/linux'],
  net: ['dist/net'],
  http: ['dist/http'],
  cli: ['dist/cli'],
  examples: ['build/examples', 'build/test', 'scripts'],
  frozen: ['frozen'],
}
const NEEDS_A_PROCESS = [
  // Garbage of other files would be reported as a leak here, and their warnings as the expected one.
  ...['leaks', 'token-leaks.host', 'destroy', 'dry-watch', 'listen'],
  // Counts the memory that its code takes. Code that other files have run as well takes more.
  ...['garbage', 'sys/sys', 'link/generator', 'linux/linux'],
  // Looks at what the process has loaded, or at the handles that keep it alive.
  ...['rooms', 'busy-poll'],
  // Takes all handles of a thread, or sets the environment for all of its file.
  ...['broken-providers', 'offer-pools'],
  // Helpers declare its tests, so in a shared process they would not be told from another file's.
  ...['device-memory', 'shared-rings.conformance'],
  // Waits for a peer or another process for seconds, in which others can run.
  ...['connection', 'reset-watch', 'linger', 'net/faults', 'without-aio.host', 'ends.host'],
  ...['part-file.race', 'cli/get', 'cli/get.options', 'cli/send', 'cli/recv', 'cli/replay'],
  ...['cli/demo', 'cli/gvnic', 'cli/iperf3/server'],
  // Computes for seconds, which another process does at the same time.
  ...['load', 'moved-*', 'wake-batching', 'connection-conformance', 'touch-ahead', '*.fuzz'],
  ...['scripts/documented-examples', 'scripts/netlink-tables', 'scripts/api-reference'],
]

// A process takes seconds to start in a guest, so one process has all files but these. They count garbage
// and memory, and one of them takes memory from the kernel as long as it runs.
const ALONE_IN_GUEST = ['huge-pages.guest', 'leaks', 'sys', 'linux']

/** True if `path` ends in one of `names`, without `.test.js`. A `*` stands for a part of a name. */
const isNamed = (names, path) => names.some((name) => nameToPattern(name).test(path))
function nameToPattern(name) {
  const pattern = name.replaceAll('.', '\\.').replaceAll('*', '[^/]+')
  return new RegExp(`(^|/)${pattern}\\.test\\.m?js$`)
}

const strayNames = [...NEEDS_A_PROCESS, ...ALONE_IN_GUEST].filter(
  (name) => !all.some((path) => isNamed([name], path)),
)
if (strayNames.length > 0) {
  console.error(
    `No test file is named ${strayNames.join(', ')}. Correct NEEDS_A_PROCESS or ALONE_IN_GUEST in scripts/test.mjs, or the file would share a process.`,
  )
  process.exit(1)
}

/** Returns the name of the process that a file shares with others, or undefined if it has its own. */
function processOf(file) {
  // Each of these files counts what it leaves behind, or makes the kernel's things under fixed names.
  if (tap || boot || soak) return undefined
  if (guest) return isNamed(ALONE_IN_GUEST, file) ? undefined : 'guest'
  if (isNamed(NEEDS_A_PROCESS, file)) return undefined
  return Object.keys(TOGETHER).find((name) =>
    TOGETHER[name].some((folder) => file.startsWith(`${folder}/`)),
  )
}

/** Writes a file that imports tests, and returns its path. A guest has no folder but its own for temporary files. */
function inOneProcess(name, tests) {
  const together = join(guest ? tmpdir() : 'build/one-process', `${name}.test.mjs`)
  mkdirSync(dirname(together), { recursive: true })
  const lines = tests.map((test) => `import ${JSON.stringify(String(pathToFileURL(test)))}\n`)
  writeFileSync(together, lines.join(''))
  return together
}

const shared = files.filter((file) => processOf(file) !== undefined)
const processes = files.filter((file) => !shared.includes(file))
for (const name of new Set(shared.map(processOf))) {
  const tests = shared.filter((file) => processOf(file) === name)
  processes.push(inOneProcess(name, tests))
}

const runner = spawn(
  process.execPath,
  [
    '--expose-gc',
    '--test',
    // Many tests wait for a timer or a child process, so three files at once keep two cores busy. The
    // guest's kernel is one for all of its tests, some of which count what it has left.
    `--test-concurrency=${tap || boot || guest || soak ? 1 : 3}`,
    // ms for each test, suite and file. It ends what hangs: a busy machine never needs as long. A
    // guest has the machine alone and 600 s for all, and names what hangs only while it runs.
    `--test-timeout=${(guest ? 480_000 : 600_000) * longer}`,
    '--test-reporter=./scripts/reporter.mjs',
    ...processes,
  ],
  // The reporter looks for each of these files among those of the tests.
  {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NETMEM_SHARED_FILES: shared.join('\n') },
    // A process group for the runner, the files and all that they start.
    detached: true,
  },
)
runner.on('close', (status) => process.exit(status ?? 1))

// The runner would leave the processes that its files have started.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    process.kill(-runner.pid, 'SIGKILL')
    process.exit(128 + constants.signals[signal])
  })
}
