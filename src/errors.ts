/**
 * Every error netmem throws, and their codes. `docs/errors.md` lists them with causes and remedies.
 * Running out of memory is not here: a dry pool answers `undefined`.
 */

/** The stable codes, each documented in `docs/errors.md`. */
export type ErrorCode =
  // handles
  | 'NETMEM_WRONG_KIND'
  | 'NETMEM_STALE_HANDLE'
  | 'NETMEM_DOUBLE_PUT'
  | 'NETMEM_FOREIGN_HANDLE'
  // lifetimes
  | 'NETMEM_FRAG_RELEASED'
  | 'NETMEM_POOL_DESTROYED'
  | 'NETMEM_PROVIDER_BUSY'
  | 'NETMEM_PROVIDER_BROKEN'
  | 'NETMEM_NOT_SHARED'
  // arguments
  | 'NETMEM_INVALID_ARGUMENT'
  | 'NETMEM_OUT_OF_RANGE'
  | 'NETMEM_DESTINATION_TOO_SMALL'
  | 'NETMEM_DESTINATION_DETACHED'
  | 'NETMEM_PENDING_WRITES'
  | 'NETMEM_BUSY'
  // connections
  | 'NETMEM_CONNECT_FAILED'
  | 'NETMEM_LISTEN_FAILED'
  | 'NETMEM_CONNECTION_RESET'
  | 'NETMEM_CONNECTION_FAILED'
  | 'NETMEM_CONNECTION_CLOSED'
  | 'NETMEM_ENDED_EARLY'
  | 'NETMEM_ABORTED'
  | 'NETMEM_TIMEOUT'
  | 'NETMEM_TLS'
  // the user-space stack
  | 'NETMEM_DMA_FAULT'
  | 'NETMEM_DEVICE_CLOSED'
  | 'NETMEM_DMABUF_INVALID'
  | 'NETMEM_DMABUF_UNALIGNED'
  | 'NETMEM_DMABUF_BUSY'
  | 'NETMEM_BIND_QUEUE'
  | 'NETMEM_BIND_HEADER_SPLIT'
  | 'NETMEM_BIND_UNSUPPORTED'
  | 'NETMEM_BIND_BUSY'
  | 'NETMEM_BIND_IGNORED'
  | 'NETMEM_BIND_ORDER'
  | 'NETMEM_NIC_BUSY'
  | 'NETMEM_NIC_CONFIG'
  | 'NETMEM_QUEUE_START'
  | 'NETMEM_SKB_FREED'
  | 'NETMEM_UNREADABLE'
  | 'NETMEM_READABLE'
  | 'NETMEM_CONTROL_SPACE'
  | 'NETMEM_TOKEN_RANGE'
  | 'NETMEM_NO_TOKEN'
  | 'NETMEM_NO_DEVICE'
  | 'NETMEM_WOULD_BLOCK'
  | 'NETMEM_CAPTURE_INVALID'
  | 'NETMEM_DEVICE_FAILED'
  // http
  | 'NETMEM_HTTP_PROTOCOL'
  | 'NETMEM_HTTP_HEAD_TOO_LARGE'
  | 'NETMEM_HTTP_STATUS'
  | 'NETMEM_HTTP_REDIRECTS'
  | 'NETMEM_HTTP_CONTENT_CODING'
  | 'NETMEM_HTTP_RANGE'
  | 'NETMEM_HTTP_CHANGED'
  | 'NETMEM_HTTP_FILE'
  | 'NETMEM_HTTP_NEEDS_UNDICI'
  | 'NETMEM_DIGEST_MISMATCH'
  | 'NETMEM_DIGEST_FAILED'
  // Linux
  | 'NETMEM_LINUX_UNAVAILABLE'

/**
 * What every error of netmem's own kinds is an instance of. Mistakes of the caller are
 * {@link ArgumentTypeError} and {@link ArgumentRangeError} instead; {@link isNetmemError} knows all.
 */
export abstract class NetmemError extends Error {
  /** Stable across versions; the message is not. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/** A handle that this pool cannot take: of the wrong kind, stale, put twice, or another pool's. */
export class HandleError extends NetmemError {}

/** Something used after its end, or before its turn: a released frag, a destroyed pool. */
export class LifetimeError extends NetmemError {}

/** A connection that could not be made, broke, timed out, or was aborted. */
export class ConnectionError extends NetmemError {}

/** Something that only Linux can do, and not here. */
export class LinuxError extends NetmemError {}

/** A value of the wrong type, with a code. */
export class ArgumentTypeError extends TypeError {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** A value of the right type outside its range, with a code. */
export class ArgumentRangeError extends RangeError {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Whether `error` is one that netmem threw, whichever its class. */
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
 * Returns a copy of the options that are the caller's own: what somebody has put on
 * `Object.prototype` turns nothing on or off. Options that are `undefined` are left out.
 * Throws NETMEM_INVALID_ARGUMENT for what is no object, and for an unknown name, which would
 * otherwise be a misspelt option that does nothing.
 *
 * @param call names the function in messages, such as `connect()`.
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

/** Throws unless `value` is an integer of `min` to `max`; `name` says which in the message. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${name} must be a number, not ${typeof value}.`,
    )
  }
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `${name} must be a whole number of ${min} to ${max}, not ${value}.`,
    )
  }
  return value
}
