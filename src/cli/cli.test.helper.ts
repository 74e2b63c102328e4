/** Running the built command line in tests. */

import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { until } from '../testing/waiting.test.helper.ts'
import { type Fields, isFields, parseFields } from './iperf3/fields.ts'

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

  constructor(program: string, args: readonly string[]) {
    const child = spawn(program, args)
    this.child = child
    child.stdout.on('data', (chunk: Buffer) => this.#out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => {
      this.#err += chunk.toString()
    })
    child.stdin.on('error', () => undefined)
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => {
        this.#closed = true
        resolve({ code, out: Buffer.concat(this.#out), err: this.#err })
      })
    })
  }

  /** Waits until stderr matches. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#err)
      if (match !== null) return match
      assert.ok(!this.#closed, `it ended, and said: ${this.#err}`)
      await sleep(1)
    }
  }

  /** Waits until stdout matches. */
  async prints(pattern: RegExp): Promise<void> {
    while (!pattern.test(Buffer.concat(this.#out).toString())) {
      assert.ok(!this.#closed, `it ended, and said: ${this.#err}`)
      await sleep(1)
    }
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

/** The one line of JSON that stdout carries. */
export function jsonOf({ out }: { readonly out: Buffer }): Fields {
  const lines = out.toString().split('\n')
  assert.equal(lines.length, 2, `more or less than one line: ${out.toString()}`)
  const fields = parseFields(lines[0] ?? '')
  assert.ok(fields !== undefined, lines[0])
  return fields
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

const TCP_TABLE = '/proc/net/tcp'

/** False, or why a test with {@link readByPeer} is to be skipped. */
export const noTcpTable: false | string =
  !existsSync(TCP_TABLE) && `what another process has read is in ${TCP_TABLE} (Linux)`

/** Waits until the process at the other end of an IPv4 connection has read all that was written. */
export async function readByPeer(socket: net.Socket): Promise<void> {
  const port = (number = 0): string => number.toString(16).toUpperCase().padStart(4, '0')
  const [local, remote] = [port(socket.localPort), port(socket.remotePort)]
  // proc(5): the addresses of both ends, the state, and what waits to be sent and to be read.
  const row = (from: string, to: string): RegExp =>
    new RegExp(`:${from} \\w+:${to} \\w+ (\\w+):(\\w+)`)
  await until(() => {
    const table = readFileSync(TCP_TABLE, 'utf8')
    const unsent = row(local, remote).exec(table)?.[1]
    const unread = row(remote, local).exec(table)?.[2]
    return socket.writableLength === 0 && Number(unsent) === 0 && Number(unread) === 0
  }, 'the other end has read all')
}
