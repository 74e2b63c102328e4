/**
 * Integers at any place in bytes, in network byte order (RFC 791, appendix B). A `DataView` would be
 * one more object for each memory, and is not faster. Bytes behind the end read as 0.
 */

export function getUint8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}

// The next two call no others: an engine inlines only so many calls into one function.
export function getUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

/** Returns it signed: engines keep larger numbers in objects. */
export function getInt32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16)
  return high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
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

/** Copies byte arrays into one, one behind the other. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
