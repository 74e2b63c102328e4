/**
 * Journal of prepareQueues(): a file that says how to undo each change. Each entry is written before its
 * change, so that a killed process leaves enough behind. It lies in /run, which a reboot empties as it
 * resets the card.
 */

import {
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { readText } from '../read-text.ts'
import { type Ifindex, LinuxError } from '../sys/index.ts'
import type { CardRule, RingSettings } from './card-settings.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DEVMEM_PREPARED: 'LinuxError'
    NETMEM_DEVMEM_NOT_PREPARED: 'LinuxError'
  }
}

/**
 * One change, as the step that undoes it. A number that the kernel chooses is absent until the kernel has
 * chosen it. Then the earlier settings show which one is new.
 */
export type UndoStep =
  | { readonly kind: 'rings'; readonly settings: RingSettings }
  | { readonly kind: 'feature'; readonly name: string; readonly on: boolean }
  | { readonly kind: 'table'; readonly table: readonly number[] | 'default' }
  | {
      readonly kind: 'context'
      readonly context?: number
      readonly table: readonly number[]
      readonly before: readonly number[]
    }
  | {
      readonly kind: 'rule'
      readonly location?: number
      readonly rule: CardRule
      readonly before: readonly number[]
    }

/** Contents of the file. */
interface JournalFile {
  readonly pid: number
  /** Start of the process, in the kernel's clock ticks: a number of a process is used again. */
  readonly started: string
  readonly steps: readonly UndoStep[]
}

/** Journal of one interface. */
export class UndoJournal {
  readonly #path: string
  #steps: readonly UndoStep[]

  private constructor(path: string, steps: readonly UndoStep[]) {
    this.#path = path
    this.#steps = steps
  }

  /**
   * Begins a journal.
   *
   * @throws NETMEM_DEVMEM_PREPARED if the interface has one.
   * @throws NETMEM_DEVMEM_FORBIDDEN if the process may not write to the folder.
   */
  static create(folder: string, ifindex: Ifindex): UndoJournal {
    const path = pathOf(folder, ifindex)
    const journal = new UndoJournal(path, [])
    try {
      mkdirSync(folder, { recursive: true, mode: 0o755 })
      journal.#begin()
    } catch (cause) {
      const errno: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
      if (errno === 'EACCES' || errno === 'EPERM') throw forbidden(path, errno, cause)
      if (errno !== 'EEXIST') throw cause
      throw prepared(ifindex, holderOf(path))
    }
    return journal
  }

  /**
   * Opens the journal that a process left behind.
   *
   * @throws NETMEM_DEVMEM_NOT_PREPARED without a journal of the interface.
   * @throws NETMEM_DEVMEM_PREPARED if another process that wrote it is running.
   */
  static open(folder: string, ifindex: Ifindex): UndoJournal {
    const path = pathOf(folder, ifindex)
    const file = readJournal(path)
    if (file === undefined) {
      throw new LinuxError(
        'NETMEM_DEVMEM_NOT_PREPARED',
        `There is nothing to undo on interface ${ifindex}: there is no ${path}.`,
      )
    }
    const holder = holderOf(path)
    if (holder !== undefined && holder !== process.pid) throw prepared(ifindex, holder)
    return new UndoJournal(path, file.steps)
  }

  /** Steps in the order in which the changes were made. */
  get steps(): readonly UndoStep[] {
    return this.#steps
  }

  /** Adds a step. Call it before the change. */
  add(step: UndoStep): void {
    this.#write([...this.#steps, step])
  }

  /** Replaces the last step, once the kernel has chosen a number. */
  replaceLast(step: UndoStep): void {
    this.#write([...this.#steps.slice(0, -1), step])
  }

  /** Takes the last step back, whose change was refused. */
  dropLast(): void {
    this.#write(this.#steps.slice(0, -1))
  }

  /** Keeps those steps alone. Without any it removes the file. */
  keep(steps: readonly UndoStep[]): void {
    if (steps.length > 0) {
      this.#write(steps)
      return
    }
    this.#steps = []
    rmSync(this.#path, { force: true })
  }

  /** Makes the file with its contents at once, so that a crash leaves no empty file. */
  #begin(): void {
    const first = `${this.#path}.${process.pid}`
    writeFileSync(first, this.#text(), { mode: 0o600 })
    try {
      linkSync(first, this.#path)
    } finally {
      rmSync(first)
    }
  }

  #write(steps: readonly UndoStep[]): void {
    this.#steps = steps
    // A rename is atomic: a crash leaves the old journal or the new one.
    const next = `${this.#path}.new`
    writeFileSync(next, this.#text(), { mode: 0o600 })
    renameSync(next, this.#path)
  }

  #text(): string {
    const file: JournalFile = {
      pid: process.pid,
      started: startOf(process.pid) ?? '',
      steps: this.#steps,
    }
    return `${JSON.stringify(file)}\n`
  }
}

function prepared(ifindex: Ifindex, holder: number | undefined): LinuxError {
  return new LinuxError(
    'NETMEM_DEVMEM_PREPARED',
    holder === undefined
      ? `Interface ${ifindex} was prepared by a process that has ended. Undo that first: \`netmem devmem undo\`.`
      : `Process ${holder} has prepared interface ${ifindex}, and undoes that when it ends. End it first.`,
  )
}

function forbidden(path: string, errno: 'EACCES' | 'EPERM', cause: unknown): LinuxError {
  return new LinuxError(
    'NETMEM_DEVMEM_FORBIDDEN',
    `This process may not prepare a card: it cannot write ${path} (${errno}). Run it as root, or let root run \`netmem devmem prepare\`, which passes the memory on.`,
    { cause, errno, syscall: 'open' },
  )
}

/** Interfaces are numbered in a network namespace, so the namespace's number is in the name. */
function pathOf(folder: string, ifindex: Ifindex): string {
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? '0'
  return join(folder, `devmem-${namespace}-${ifindex}.json`)
}

/** Returns the process that wrote a journal while it runs, or undefined. */
function holderOf(path: string): number | undefined {
  const file = readJournal(path)
  return file !== undefined && startOf(file.pid) === file.started ? file.pid : undefined
}

function readJournal(path: string): JournalFile | undefined {
  try {
    const file: JournalFile = JSON.parse(readFileSync(path, 'utf8'))
    return file
  } catch {
    return undefined
  }
}

/** Start of a process (proc_pid_stat(5), field 22), or undefined without the process. */
function startOf(pid: number): string | undefined {
  const text = readText(`/proc/${pid}/stat`)
  // The second field is the command in parentheses, and may hold blanks.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}
