/** Values of options of several commands: queues, and the memory that is bound. Loads nothing of netmem/linux. */

import { InvalidArgumentError } from 'commander'

/** Makes a parser of lists of numbers from 0 to `max`, such as 2,3. */
export function parseList(max: number): (text: string) => number[] {
  return (text) =>
    text.split(',').map((part) => {
      const value = /^\d+$/.test(part) ? Number(part) : -1
      if (value < 0 || value > max) {
        throw new RangeError(`it is a list such as 2,3, of numbers of 0 to ${max}`)
      }
      return value
    })
}

/** Checks the kind of `--dmabuf`. */
export function parseDmaBuf(text: string): string {
  if (text === 'udmabuf' || /^heap:[^/]+$/.test(text)) return text
  throw new InvalidArgumentError('it is udmabuf, or heap: with the name of a heap')
}
