/** Memory of the caller that received bytes go to: views of it, and errors if it is gone. */

import { ArgumentRangeError, ArgumentTypeError, checkInteger, isNetmemError } from '../../errors.ts'

/**
 * Returns a view of the first `length` bytes of a destination, by default of all of it. The view
 * has a fixed length, so that memory may grow behind it.
 *
 * @throws NETMEM_DESTINATION_TOO_SMALL, NETMEM_DESTINATION_DETACHED, NETMEM_OUT_OF_RANGE and
 *   NETMEM_INVALID_ARGUMENT.
 */
export function destinationView(
  destination: Uint8Array | ArrayBufferLike,
  length: number | undefined,
): Uint8Array {
  const whole = viewOf(destination)
  if (whole.byteLength === 0 && isGone(whole)) throw gone()
  if (length === undefined) return fixed(whole, whole.byteLength)
  checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER)
  if (length > whole.byteLength) {
    throw new ArgumentRangeError(
      'NETMEM_DESTINATION_TOO_SMALL',
      `${length} bytes do not fit a destination of ${whole.byteLength}.`,
    )
  }
  return fixed(whole, length)
}

/** True if `resize` can take the memory of a view away without detaching it. */
export function canShrink(view: Uint8Array): boolean {
  return Reflect.get(view.buffer, 'resizable') === true
}

/** Error of a destination that has become shorter during its transfer. */
export function destinationGone(filled: number, length: number): ArgumentTypeError {
  return new ArgumentTypeError(
    'NETMEM_DESTINATION_DETACHED',
    `The destination was detached or shrunk after ${filled} of ${length} bytes. Keep it in place until the transfer is done.`,
  )
}

/** Error of a connection whose pool's memory was taken away while it received. */
export function poolGone(cause?: unknown): Error {
  // Errors of the engine about memory that is gone have no code.
  if (isNetmemError(cause)) return cause
  return new ArgumentTypeError(
    'NETMEM_DESTINATION_DETACHED',
    "The pool's memory was transferred, shrunk or unmapped. Keep it in place until the pool is destroyed.",
  )
}

/**
 * Settles as `sent` does, unless the memory that was written has `moved` by then. The peer has got
 * other bytes in that case. `destroy` is called with the error first.
 */
export async function unlessMoved(
  moved: () => boolean,
  sent: Promise<void>,
  destroy: (error: Error) => void,
): Promise<void> {
  await sent
  if (!moved()) return
  const error = new ArgumentTypeError(
    'NETMEM_DESTINATION_DETACHED',
    'The memory of a write was transferred or shrunk before all of it was sent. The connection was destroyed. Keep it in place until write() resolves.',
  )
  destroy(error)
  throw error
}

function fixed(view: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, length)
}

function viewOf(destination: Uint8Array | ArrayBufferLike): Uint8Array {
  if (destination instanceof Uint8Array) return destination
  if (destination instanceof ArrayBuffer || destination instanceof SharedArrayBuffer) {
    try {
      return new Uint8Array(destination)
    } catch {
      throw gone()
    }
  }
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    'A destination is a Uint8Array, an ArrayBuffer or a SharedArrayBuffer.',
  )
}

/** True if a view is empty because its memory was transferred, or shrunk below its start. */
function isGone(view: Uint8Array): boolean {
  try {
    // Throws for such a view alone (ECMAScript, ValidateTypedArray).
    view.keys()
    return false
  } catch {
    return true
  }
}

function gone(): ArgumentTypeError {
  return new ArgumentTypeError(
    'NETMEM_DESTINATION_DETACHED',
    'The destination is detached: its memory was transferred, or shrunk. Allocate another one.',
  )
}
