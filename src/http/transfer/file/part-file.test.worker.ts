/**
 * A process that makes, claims and finishes parts when its parent says so. Not published. With
 * `--steps` each call of the file system waits for the parent, too.
 */

import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { PartFile } from './part-file.ts'
import type { Resumable } from './part-note.ts'

/** A command of the parent. */
export interface Command {
  readonly target: string
  readonly job: 'make' | 'claim' | 'write' | 'finish' | 'keep' | 'discard'
}

/** A report of this process: the step it waits to take, or the result of a job. */
export interface Report {
  readonly step?: string
  readonly done?: Command['job']
  /** Inode of the part that it writes to. */
  readonly inode?: number
  readonly size?: number
  readonly error?: string
}

/** A body of this many bytes is whole. */
export const WHOLE_BYTES = 40_000
const PIECE_BYTES = 10_000
const url = 'http://example.org/f'

export const resumable: Resumable = {
  url,
  entity: {
    length: WHOLE_BYTES,
    etag: '"1"',
    lastModified: undefined,
    validator: '"1"',
  },
  modifiedMs: undefined,
}

/** The bytes from `from` on of the body. None is zero, as a hole would be. */
export function body(from = 0, to: number = WHOLE_BYTES): Buffer {
  return Buffer.from(Array.from({ length: to - from }, (_, i) => ((from + i) % 251) + 1))
}

let goOn: (() => void) | undefined

function say(report: Report): void {
  process.send?.(report)
}

/** The end of the call that is under way: they wait one after the other. */
let turn = Promise.resolve()

/** Has each of these calls wait for the parent's word. */
function stepByStep(): void {
  for (const name of ['open', 'rename', 'rm', 'readdir'] as const) {
    const call: (...args: never[]) => Promise<unknown> = fs.promises[name]
    Reflect.set(fs.promises, name, async (...args: never[]) => {
      const before = turn
      let end = (): void => {}
      turn = new Promise((resolve) => {
        end = resolve
      })
      await before
      const told = new Promise<void>((resolve) => {
        goOn = resolve
      })
      say({ step: name })
      await told
      try {
        return await call(...args)
      } finally {
        end()
      }
    })
  }
  syncBuiltinESMExports()
}

async function serve(): Promise<void> {
  if (process.argv.includes('--steps')) stepByStep()
  const { PartFile } = await import('./part-file.ts')
  const { resolveTarget } = await import('./file-path.ts')
  let part: PartFile | undefined
  let size = 0

  async function run({ target, job }: Command): Promise<void> {
    if (job === 'claim') {
      const found = await PartFile.claim(await resolveTarget(target), url)
      part = found?.part
      size = found?.bytes ?? 0
      await part?.listening()
    } else if (job === 'make') {
      part ??= await PartFile.create(await resolveTarget(target), resumable)
      await part.listening()
    } else if (job === 'write') {
      const to = Math.min(WHOLE_BYTES, size + PIECE_BYTES)
      await part?.handle.write(body(size, to), 0, to - size, size)
      size = to
    } else {
      const ended = part
      part = undefined
      await (job === 'keep' ? ended?.keep(size, resumable) : ended?.[job]())
    }
    const inode = (await part?.handle.stat())?.ino
    say({ done: job, size, ...(inode === undefined ? {} : { inode }) })
  }

  process.on('message', (message: Command | 'go') => {
    if (message === 'go') goOn?.()
    else run(message).catch((error: Error) => say({ done: message.job, error: error.message }))
  })
  process.on('disconnect', () => process.exit())
  say({ step: 'ready' })
}

// The parent takes the body from here, too.
if (process.send !== undefined) await serve()
