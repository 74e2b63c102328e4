/**
 * Every error netmem throws, and their codes. `docs/errors.md` lists them with causes and remedies.
 * Running out of memory is not here: a dry pool answers `undefined`.
 */

/**
 * Stable codes, each with the class of the errors that carry it: `docs/errors.md` says of each code
 * what happened and what to do. A layer adds its codes by declaration merging, with
 * `declare module '../errors.ts'`.
 *
 * @public
 */
export interface ErrorCodes {
  NETMEM_INVALID_ARGUMENT: 'ArgumentTypeError'
  NETMEM_OUT_OF_RANGE: 'ArgumentRangeError'
}

/** The stable codes: `docs/errors.md` lists them. */
export type ErrorCode = keyof ErrorCodes

/** The codes of one class. */
export type CodeOf<Class extends string> = {
  [Code in ErrorCode]: ErrorCodes[Code] extends Class ? Code : never
}[ErrorCode]

/**
 * Superclass of netmem's own classes of errors. Mistakes of the caller are
 * {@link ArgumentTypeError} and {@link ArgumentRangeError} instead. {@link isNetmemError} knows all.
 *
 * @typeParam Class Name of the class that an error is of: the key to its codes.
 */
export abstract class NetmemError<Class extends string = string> extends Error {
  /** Stable across versions. The message is not. */
  readonly code: CodeOf<Class>

  constructor(code: CodeOf<Class>, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/** A handle or a pool that cannot be taken: of the wrong kind, stale, put twice, or another pool's. */
export class HandleError extends NetmemError<'HandleError'> {}

/** Something used after its end, before its turn, or while another user has it. */
export class LifetimeError extends NetmemError<'LifetimeError'> {}

/** A connection that could not be made, broke, timed out, or was aborted. */
export class ConnectionError extends NetmemError<'ConnectionError'> {}

/** A value of the wrong type, with a code. */
export class ArgumentTypeError extends TypeError {
  /** Stable across versions. The message is not. */
  readonly code: CodeOf<'ArgumentTypeError'>

  constructor(code: CodeOf<'ArgumentTypeError'>, message: string) {
    super(message)
    this.code = code
  }
}

/** A value of the right type outside its range, with a code. */
export class ArgumentRangeError extends RangeError {
  /** Stable across versions. The message is not. */
  readonly code: CodeOf<'ArgumentRangeError'>

  constructor(code: CodeOf<'ArgumentRangeError'>, message: string) {
    super(message)
    this.code = code
  }
}

/** True if netmem threw `error`, of any of its classes. */
export function isNetmemError(
  error: unknown,
): error is NetmemError | ArgumentTypeError | ArgumentRangeError {
  return (
    error instanceof NetmemError ||
    error instanceof ArgumentTypeError ||
    error instanceof ArgumentRangeError
  )
}

/** Every option of `T` by name, so that the compiler notices one that a check has forgotten. */
export type OptionNames<T> = { readonly [Name in keyof Required<T>]: true }

/**
 * Returns a copy of the caller's own options. Properties of `Object.prototype` do not count, and
 * options that are `undefined` are left out.
 *
 * @param call names the function in messages, such as `connect()`.
 * @throws NETMEM_INVALID_ARGUMENT for a value that is no object, and for an unknown name, since a
 *   misspelt option would otherwise do nothing.
 */
export function ownOptions<T extends object>(call: string, options: T, names: OptionNames<T>): T {
  if (typeof options !== 'object' || options === null) {
    const kind = options === null ? 'null' : typeof options
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${call} takes its options as an object, not ${kind}.`,
    )
  }
  const own: T = Object.create(null)
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(names, name)) {
      throw new ArgumentTypeError(
        'NETMEM_INVALID_ARGUMENT',
        `${call} has no option ${JSON.stringify(name)}; it has ${Object.keys(names).join(', ')}.`,
      )
    }
    if (value !== undefined) Reflect.set(own, name, value)
  }
  return own
}

/** Fields of parsed JSON, before they are checked. */
export type Fields = Readonly<Record<string, unknown>>

/** True for an object with fields. False for an array and for null. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Throws NETMEM_INVALID_ARGUMENT unless `value` is a string that is not empty. `meaning` names its meaning. */
export function checkString(name: string, value: unknown, meaning: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `${name} must be ${meaning}, not ${JSON.stringify(value) ?? typeof value}.`,
  )
}

/** Returns `value` if it is one of `among`, such as the names of an option's values. Throws NETMEM_INVALID_ARGUMENT. */
export function checkOneOf<const T extends string | number | boolean>(
  name: string,
  value: unknown,
  among: readonly T[],
): T {
  const found = among.find((one) => one === value)
  if (found !== undefined) return found
  const shown = among.map((one) => (typeof one === 'string' ? `'${one}'` : String(one)))
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `${name} must be ${shown.join(' or ')}, not ${String(value)}.`,
  )
}

/** Throws unless `value` is an integer of `min` to `max`. `name` is its name in the message. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  // The message is made elsewhere: an engine inlines small functions only, and hot paths check.
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
    return value
  }
  throw numberError(name, value, min, max, 'whole number')
}

/** Throws unless `value` is a number of `min` to `max`. `name` is its name in the message. */
export function checkNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw numberError(name, value, min, max, 'number')
}

function numberError(
  name: string,
  value: unknown,
  min: number,
  max: number,
  kind: 'number' | 'whole number',
): ArgumentTypeError | ArgumentRangeError {
  if (typeof value !== 'number') {
    return new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${name} must be a number, not ${typeof value}.`,
    )
  }
  return new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `${name} must be a ${kind} of ${min} to ${max}, not ${value}.`,
  )
}
