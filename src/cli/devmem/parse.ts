/** Values of options of several commands: queues, and the memory that is bound. Loads nothing of netmem/linux. */

import { InvalidArgumentError, type Option } from 'commander'
import { usage } from '../exit.ts'
import { argument, sizeOption } from '../options.ts'
import { exactSize, parseSize } from '../size.ts'

/** Parses the numbers of RX queues, such as 2,3. */
export const parseQueues: (text: string) => number[] = argument(parseList(0))

/** Parses TCP ports, such as 5201,5202. */
export const parsePorts: (text: string) => number[] = argument(parseList(1))

/** Makes a parser of lists of numbers from `min` to 65535, each once. */
function parseList(min: number): (text: string) => number[] {
  return (text) => {
    const values = text.split(',').map((part) => (/^\d+$/.test(part) ? Number(part) : -1))
    if (values.some((value) => value < min || value > 65_535)) {
      throw new RangeError(`it is a list such as 2,3, of numbers of ${min} to 65535`)
    }
    const twice = values.find((value, at) => values.indexOf(value) !== at)
    if (twice !== undefined) throw new RangeError(`it has ${twice} twice; name each once`)
    return values
  }
}

/** Memory page of x86-64 and most arm64 kernels. */
const PAGE_BYTES = 4096

/** Makes the option --size of the memory that is bound. */
export function dmaBufSizeOption(description: string): Option {
  return sizeOption('--size <size>', description, 16 * 2 ** 20).argParser(
    argument((text) => {
      const bytes = parseSize(text)
      if (bytes === 0 || bytes % PAGE_BYTES !== 0) throw new RangeError(NOT_PAGES)
      return bytes
    }),
  )
}

const NOT_PAGES = `it is whole memory pages of ${exactSize(PAGE_BYTES)}`

/** Throws USAGE unless the memory of `--pool`, which is to be bound, is whole pages. */
export function checkBoundPool(bytes: number): void {
  if (bytes % PAGE_BYTES === 0) return
  throw usage(`--pool ${exactSize(bytes)} cannot be bound: ${NOT_PAGES}.`)
}

/** Most bytes of the path of a Unix socket (K: include/uapi/linux/un.h). */
const MAX_PATH_BYTES = 107

/** Checks the place of a Unix socket. */
export function parseSocketPath(path: string): string {
  const bytes = Buffer.byteLength(path)
  if (bytes > 0 && bytes <= MAX_PATH_BYTES) return path
  throw new InvalidArgumentError(`it is a path of 1 to ${MAX_PATH_BYTES} bytes, not of ${bytes}`)
}

/** Checks the kind of `--dmabuf`. */
export function parseDmaBuf(text: string): string {
  if (text === 'udmabuf' || /^heap:[^/]+$/.test(text)) return text
  throw new InvalidArgumentError('it is udmabuf, or heap: with the name of a heap')
}
