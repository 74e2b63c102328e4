/** Sources of the commands that send: a file, stdin, or a pattern. */

import { fstatSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { usage } from '../exit.ts'
import { Pattern, type PatternName } from '../pattern.ts'

/** Bytes to send. Each view stays as it is until the next is asked for. */
export interface SendSource extends AsyncDisposable {
  readonly views: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /** Total number of bytes, if known. */
  readonly totalBytes: number | undefined
  /** Ends `views`, also during a wait for the next view. */
  stop(): void
}

/** Large enough that calls cost nothing beside copying, small enough for a core's cache. */
const VIEW_BYTES = 1024 * 1024

/** Source of the bytes, as a command line names it. */
export interface SourceFlags {
  readonly bytes?: number
  readonly pattern?: PatternName
}

/** Throws USAGE for arguments that name no source. Does not open it. */
export function checkSource(file: string | undefined, { bytes, pattern }: SourceFlags): void {
  if (bytes === undefined && pattern === undefined) return
  if (file !== undefined) throw usage('Either a file, or --bytes and --pattern.')
  if (bytes === undefined) throw usage('--pattern has no end: say how much with --bytes.')
}

/**
 * Opens the source that a command line names.
 *
 * @param file `-` or nothing is stdin.
 */
export async function sourceOf(file: string | undefined, named: SourceFlags): Promise<SendSource> {
  checkSource(file, named)
  const { bytes, pattern = 1 } = named
  if (bytes !== undefined) {
    const views = new Pattern(pattern).views(bytes, VIEW_BYTES)
    return {
      views,
      totalBytes: bytes,
      stop: () => undefined,
      [Symbol.asyncDispose]: async () => {},
    }
  }
  return file === undefined || file === '-' ? stdinSource() : fileSource(file)
}

function stdinSource(): SendSource {
  // Node.js treats a folder on stdin as an ended stream.
  if (fstatSync(process.stdin.fd).isDirectory()) {
    throw usage('stdin is a folder; send a file, or pack it: tar c FOLDER | netmem send …')
  }
  return {
    views: process.stdin,
    totalBytes: undefined,
    stop: () => void process.stdin.destroy(),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function fileSource(path: string): Promise<SendSource> {
  const file = await open(path)
  try {
    const stat = await file.stat()
    if (stat.isDirectory()) {
      throw usage(`${path} is a folder; send a file, or pack it: tar c ${path} | netmem send …`)
    }
    const totalBytes = stat.isFile() ? stat.size : undefined
    // Disposed also when no connection was made, so that no view was read.
    return {
      views: fileViews(file),
      totalBytes,
      stop: () => undefined,
      [Symbol.asyncDispose]: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Reads one part while another is being sent. */
async function* fileViews(file: FileHandle): AsyncGenerator<Uint8Array, void, void> {
  let filling = new Uint8Array(VIEW_BYTES)
  let sending = new Uint8Array(VIEW_BYTES)
  const fill = (): Promise<number> => file.read(filling, 0).then(({ bytesRead }) => bytesRead)
  let reading = fill()
  try {
    for (let length = await reading; length > 0; length = await reading) {
      const full = filling
      filling = sending
      sending = full
      reading = fill()
      yield full.subarray(0, length)
    }
  } finally {
    await reading.catch(() => undefined)
  }
}
