/** Running the built command line in tests. */

import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'

import { type Fields, isFields } from '../errors.ts'
import { parseFields } from './iperf3/fields.ts'

/** The built program. */
export const MAIN: string = fileURLToPath(new URL('./main.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly out: Buffer
  readonly err: string
}

/** A running program, and what it says. */
export class Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ended>
  readonly #out: Buffer[] = []
  #err = ''
  #closed = false
  #waiting: (() => void)[] = []

  /** `env` is added to the environment. */
  constructor(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const child = spawn(program, args, { env: { ...process.env, ...env } })
    this.child = child
    child.stdout.on('data', (chunk: Buffer) => {
      this.#out.push(chunk)
      this.#wake()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      this.#err += chunk.toString()
      this.#wake()
    })
    child.stdin.on('error', () => undefined)
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => {
        resolve({ code, out: Buffer.concat(this.#out), err: this.#err })
        this.#closed = true
        this.#wake()
      })
    })
  }

  /** Waits until stderr matches. */
  says(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(pattern, () => this.#err)
  }

  /** Waits until stdout matches. */
  prints(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(pattern, () => Buffer.concat(this.#out).toString())
  }

  async #until(pattern: RegExp, text: () => string): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(text())
      if (match !== null) return match
      assert.ok(!this.#closed, `it ended, and said: ${text()}`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** The port that it listens on. */
  async port(): Promise<number> {
    return Number((await this.says(/listening on \S+:(\d+),/))[1])
  }
}

export function netmem(...args: string[]): Running {
  return new Running(process.execPath, [MAIN, ...args])
}

/** Runs it to its end, with `input` on stdin. */
export function run(args: readonly string[], input: Uint8Array | string = ''): Promise<Ended> {
  const running = netmem(...args)
  running.child.stdin.end(input)
  return running.ended
}

/** Code that runs before the program and hides koffi from it. */
const HIDING = `
  import Module from 'node:module'
  const resolve = Module._resolveFilename
  Module._resolveFilename = (name, ...rest) => {
    if (name === 'koffi') throw Object.assign(new Error('not here'), { code: 'MODULE_NOT_FOUND' })
    return resolve(name, ...rest)
  }`

/** Runs Node.js with these arguments to its end, as on a machine without koffi. */
export function runWithoutKoffi(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const hiding = `data:text/javascript,${encodeURIComponent(HIDING)}`
  return new Running(process.execPath, ['--import', hiding, ...args], env).ended
}

/** Program that runs the main module once for each command line, and prints how each ended. */
const IN_TURN = `
  const print = process.stdout.write.bind(process.stdout)
  const [main, lines] = process.argv.slice(1)
  const said = { stdout: '', stderr: '' }
  // Commander would see from --eval that no script's name comes before the arguments.
  process.execArgv = []
  for (const name of ['stdout', 'stderr']) {
    // The main module adds a listener each time.
    process[name].setMaxListeners(0)
    process[name].write = (text) => { said[name] += text; return true }
  }
  const ends = []
  for (const [at, args] of JSON.parse(lines).entries()) {
    process.argv = [process.execPath, main, ...args]
    process.exitCode = undefined
    Object.assign(said, { stdout: '', stderr: '' })
    await import('file://' + main + '?' + at)
    ends.push({ code: process.exitCode ?? 0, out: said.stdout, err: said.stderr })
  }
  process.exitCode = 0
  print(JSON.stringify(ends))`

/**
 * Runs command lines one after the other in one process, as on a machine without koffi, and returns
 * how each ended. A process for each would take most of its time to start. The first has one as well,
 * which has to end alike.
 */
export async function runInTurn(lines: readonly (readonly string[])[]): Promise<Ended[]> {
  const program = ['--input-type=module', '--eval', IN_TURN, '--', MAIN, JSON.stringify(lines)]
  const [{ code, out, err }, alone] = await Promise.all([
    runWithoutKoffi(program),
    runWithoutKoffi([MAIN, ...(lines[0] ?? [])]),
  ])
  assert.deepEqual([code, err], [0, ''])
  const told: { code: number; out: string; err: string }[] = JSON.parse(out.toString())
  const ends = told.map((end) => ({ ...end, out: Buffer.from(end.out) }))
  assert.equal(ends.length, lines.length)
  assert.deepEqual(ends[0], alone)
  return ends
}

/** The lines of JSON that stdout carries, and nothing else. */
export function jsonLines(text: string): Fields[] {
  const lines = text.split('\n')
  assert.equal(lines.pop(), '', `the last line has no end: ${text}`)
  return lines.map((line) => {
    const fields = parseFields(line)
    assert.ok(fields !== undefined, line)
    return fields
  })
}

/**
 * The last line of JSON that stdout carries, with the lines before it as a list: those of the event
 * `transfer` in `transfers`, and so on.
 */
export function jsonOf({ out }: { readonly out: Buffer }): Fields {
  const lines = jsonLines(out.toString())
  const end = lines.pop()
  assert.equal(end?.['event'], 'end', out.toString())
  const events = new Set(lines.map(({ event }) => event))
  const lists = Array.from(events, (event) => [
    `${event}s`,
    lines.filter((line) => line['event'] === event),
  ])
  return { ...end, ...Object.fromEntries(lists) }
}

/** A field that is an object, or the only element of a list. */
export function inside(fields: Fields, name: string): Fields {
  const value = fields[name]
  const inner: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value
  assert.ok(isFields(inner), `${name} of ${JSON.stringify(fields)}`)
  return inner
}

/** A folder that is gone after the tests of the file. */
export function temporaryFolder(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-'))
  after(() => rmSync(folder, { recursive: true }))
  return (name) => join(folder, name)
}

const PACKAGES: Readonly<Record<string, string>> = { nc: 'netcat-openbsd', script: 'bsdutils' }

/** False, or why a test with this program is to be skipped. */
export function unlessInstalled(program: string, args: readonly string[]): false | string {
  return spawnSync(program, args, { stdio: 'ignore' }).error === undefined
    ? false
    : `${program} is not installed: \`apt-get install ${PACKAGES[program] ?? program}\``
}

export { noTcpTable, readByPeer } from '../testing/read-by-peer.test.helper.ts'
