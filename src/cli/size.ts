/**
 * Sizes in text. Parsing is strict: a unit is either binary (`64KiB`) or decimal (`2GB`), and
 * nothing is guessed or rounded.
 */

const UNITS: { readonly [unit: string]: bigint | undefined } = {
  B: 1n,
  KiB: 2n ** 10n,
  MiB: 2n ** 20n,
  GiB: 2n ** 30n,
  TiB: 2n ** 40n,
  kB: 10n ** 3n,
  KB: 10n ** 3n,
  MB: 10n ** 6n,
  GB: 10n ** 9n,
  TB: 10n ** 12n,
}

/**
 * Parses a size in bytes: digits, an optional fraction and an optional unit. The result is at most
 * 2^53 − 1. Throws a RangeError that says what is wrong with the text.
 */
export function parseSize(text: string): number {
  const match = /^(\d+)(?:\.(\d+))?([A-Za-z]*)$/.exec(text)
  const [, whole = '', fraction = '', unit = ''] = match ?? []
  if (match === null) {
    throw new RangeError(`'${text}' is no size; write digits and a unit, as 64KiB, 1.5MiB or 2GB`)
  }
  const factor = UNITS[unit === '' ? 'B' : unit]
  if (factor === undefined) throw new RangeError(unknownUnit(text, unit))
  const scaled = BigInt(whole + fraction) * factor
  const divisor = 10n ** BigInt(fraction.length)
  if (scaled % divisor !== 0n) throw new RangeError(`'${text}' is not a whole number of bytes`)
  const bytes = Number(scaled / divisor)
  if (!Number.isSafeInteger(bytes)) throw new RangeError(`'${text}' is more than 2^53 − 1 bytes`)
  return bytes
}

function unknownUnit(text: string, unit: string): string {
  const number = text.slice(0, text.length - unit.length)
  const known = Object.keys(UNITS).find((each) => each.toLowerCase() === unit.toLowerCase())
  // Lower case is ambiguous: `gb` may mean GB, GiB or Gbit.
  if (known?.includes('i') === true) return `'${text}' is written ${number}${known}`
  const letter = /^([kmgt])b?$/i.exec(unit)?.[1]?.toUpperCase()
  return letter === undefined
    ? `'${unit}' in '${text}' is no unit; there are B, KiB, MiB, GiB, TiB, kB, MB, GB and TB`
    : `'${text}' may mean two things; write ${number}${letter}iB (1024-based) or ${number}${letter}B (1000-based)`
}

const BINARY = ['TiB', 'GiB', 'MiB', 'KiB']
const DECIMAL = ['GB', 'MB', 'kB']

/** The shortest way to write a size exactly: `256KiB`, `1000B`. {@link parseSize} reads it back. */
export function exactSize(bytes: number): string {
  const unit = BINARY.find((each) => bytes > 0 && bytes % Number(UNITS[each]) === 0) ?? 'B'
  return `${bytes / Number(UNITS[unit])}${unit}`
}

/** Returns a rounded size such as `1.46 GiB`. */
export function roughSize(bytes: number): string {
  return rough(bytes, BINARY)
}

/** Bytes per second, as `2.11 GB/s`: decimal units, as rates are given. */
export function roughRate(bytes: number, seconds: number): string {
  return `${rough(seconds > 0 ? bytes / seconds : 0, DECIMAL)}/s`
}

/** Rounds to three digits of the largest unit that fits, and to whole bytes below all of them. */
function rough(bytes: number, units: readonly string[]): string {
  const unit = units.find((each) => bytes >= Number(UNITS[each]))
  if (unit === undefined) return `${Math.round(bytes)} B`
  const value = bytes / Number(UNITS[unit])
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`
}
