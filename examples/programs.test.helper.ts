/** Helpers of the tests of examples: runs one as a program. Not published. */

import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export class Program {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(name: string, ...args: string[]) {
    const file = fileURLToPath(new URL(name, import.meta.url))
    this.#child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    assert.ok(this.#child.stdout)
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    assert.ok(!done, 'the program ended before its next line')
    return value
  }

  async port(): Promise<number> {
    const line = await this.line()
    const port = /^listening on port (\d+)$/.exec(line)?.[1]
    assert.ok(port, line)
    return Number(port)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill()
      await once(this.#child, 'exit')
    }
  }
}

export async function withProgram(
  name: string,
  args: string[],
  use: (program: Program) => Promise<void>,
): Promise<void> {
  const program = new Program(name, ...args)
  try {
    await use(program)
  } finally {
    await program.stop()
  }
}

export async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'netmem-example-'))
  try {
    await use(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

export const PAYLOAD: Buffer = randomBytes(5_000_000)

export interface Ended {
  readonly code: number | string | null | undefined
  readonly lines: string[]
  readonly errors: string
}

/** Runs a program to its end. Origins are on this machine, so proxies of the environment are left out. */
export function ended(name: string, ...args: string[]): Promise<Ended> {
  const file = fileURLToPath(new URL(name, import.meta.url))
  const options = { timeout: 300_000, env: { ...process.env, no_proxy: '*' } }
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], options, (error, stdout, errors) => {
      const code = error === null ? 0 : error.code
      resolve({ code, lines: stdout.split('\n').slice(0, -1), errors })
    })
  })
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
