/**
 * Integers at any place in bytes, in network byte order (RFC 791, appendix B). A `DataView` would be
 * one more object for each memory, and is not faster. Bytes behind the end read as 0.
 */

export function getUint8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}

export function getUint16(bytes: Uint8Array, at: number): number {
  return (getUint8(bytes, at) << 8) | getUint8(bytes, at + 1)
}

/** Returns it signed: engines keep larger numbers in objects. */
export function getInt32(bytes: Uint8Array, at: number): number {
  return (getUint16(bytes, at) << 16) | getUint16(bytes, at + 2)
}

/** Writes the low 16 bits of `value`. */
export function setUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

/** Writes the low 32 bits of `value`. */
export function setInt32(bytes: Uint8Array, at: number, value: number): void {
  setUint16(bytes, at, value >>> 16)
  setUint16(bytes, at + 2, value)
}

/** Copies a few bytes, as addresses are. `set` would need a view of just these bytes, which is garbage. */
export function copyBytes(
  from: Uint8Array,
  fromAt: number,
  length: number,
  to: Uint8Array,
  toAt: number,
): void {
  for (let at = 0; at < length; at++) to[toAt + at] = from[fromAt + at] ?? 0
}
