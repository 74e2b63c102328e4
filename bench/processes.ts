/**
 * Processes of the benchmark: one for each receiver and each sender. A `*.child.ts` file
 * answers requests over Node's IPC channel, one at a time.
 */

import { type ChildProcess, type ForkOptions, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'

/** A process that has not answered by then hangs, and is killed. */
const PATIENCE_MS = 120_000

/** A forked file of this folder. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #name: string

  constructor(name: string, ...args: readonly string[]) {
    this.#name = name
    this.#process = fork(new URL(`./${name}.child.js`, import.meta.url), args, this.options)
  }

  protected get options(): ForkOptions {
    return { execArgv: ['--expose-gc'] }
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Returns the process's next message. The caller names its type. */
  async next<T>(): Promise<T> {
    const ended = new AbortController()
    const { signal } = ended
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), PATIENCE_MS)
    try {
      const answer = await Promise.race([
        once(this.#process, 'message', { signal }),
        once(this.#process, 'exit', { signal }).then(([code]) => {
          throw new Error(`the process ${this.#name} ended with ${code ?? 'a signal'}`)
        }),
      ])
      return answer[0] as T
    } finally {
      clearTimeout(timer)
      ended.abort()
    }
  }

  ask<T>(request: unknown): Promise<T> {
    const answer = this.next<T>()
    this.#process.send(request as object)
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#process)
  }
}

/**
 * A process whose code takes the same time whenever it runs: compiled while it waits, not beside it,
 * and always on the same processor where Linux has a program for that.
 */
export class SteadyChild extends Child {
  protected override get options(): ForkOptions {
    const flags = ['--expose-gc', '--no-concurrent-recompilation']
    const [execPath, execArgv] = onOneProcessor(process.execPath, flags)
    return { execPath, execArgv: [...execArgv] }
  }
}

/** A command, kept to the processor of {@link SteadyChild} where Linux has a program for that. */
export function onOneProcessor(
  command: string,
  args: readonly string[],
): readonly [command: string, args: readonly string[]] {
  const processor = firstProcessor()
  if (processor === undefined || !has('taskset')) return [command, args]
  return ['taskset', ['--cpu-list', processor, command, ...args]]
}

/** Keeps a process's first thread, and threads it starts after that, to the processor of {@link SteadyChild}. Returns false where the system cannot. */
export function keepToOneProcessor(pid: number): boolean {
  const processor = firstProcessor()
  if (processor === undefined) return false
  const args = ['--cpu-list', '--pid', processor, String(pid)]
  return spawnSync('taskset', args, { stdio: 'ignore' }).status === 0
}

/** Returns a processor that this process may use, where Linux tells: proc(5). */
function firstProcessor(): string | undefined {
  try {
    const status = readFileSync('/proc/self/status', 'utf8')
    return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1]
  } catch {
    return undefined
  }
}

/** Answers each request of the parent process with what `handle` returns. */
export function answer<T>(handle: (request: T) => Promise<unknown>): void {
  process.on('message', (request) => {
    handle(request as T).then(
      (reply) => process.send?.(reply ?? null),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
  // The parent is gone, however it ended.
  process.on('disconnect', () => process.exit())
}

/** A program that is not ours. It ends with this object. */
export class Program implements AsyncDisposable {
  readonly #process: ChildProcess

  constructor(
    command: string,
    args: readonly string[],
    { input = 'ignore', env = {} }: { input?: number | 'ignore'; env?: NodeJS.ProcessEnv } = {},
  ) {
    const stdio = [input, 'ignore', 'ignore'] as const
    this.#process = spawn(command, args, { stdio: [...stdio], env: { ...process.env, ...env } })
    this.#process.on('error', () => {})
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#process)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/** Returns what a program prints. Throws when it fails. */
export async function outputOf(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = once(child, 'exit')
  const [output, errors] = await Promise.all([child.stdout, child.stderr].map(text))
  const [code] = await exit
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${errors ?? ''}${output ?? ''}`)
  return output ?? ''
}

/** True if a program is installed. */
export function has(command: string, versionFlag = '--version'): boolean {
  return spawnSync(command, [versionFlag], { stdio: 'ignore' }).status === 0
}

/** Seconds of a core that another process has used so far, where Linux tells. */
export function cpuSecondsOf(pid: number): number {
  try {
    const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')
    // utime and stime, in ticks of 10 ms: fields 14 and 15 of proc(5), 11 after the name's.
    const fields = rest.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return Number.NaN
  }
}

/** A loopback port that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
