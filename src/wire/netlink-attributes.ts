/**
 * Attributes of netlink: a length, a type and a value, padded to 4 bytes, and nests of them
 * (K: include/uapi/linux/netlink.h, struct nlattr). What types mean is in tables: netlink-tables.ts.
 */

import { ArgumentRangeError, NetmemError } from '../errors.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_NETLINK_MALFORMED: 'NetlinkFormatError'
  }
}

/** A netlink message whose lengths do not fit together, or whose values do not fit their types. */
export class NetlinkFormatError extends NetmemError<'NetlinkFormatError'> {
  constructor(message: string) {
    super('NETMEM_NETLINK_MALFORMED', message)
  }
}

/** Bytes of struct nlattr: length, then type. */
const ATTRIBUTE_HEADER_BYTES = 4
/** The upper two bits of a type are flags: a nest, and a value in network byte order. */
export const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
/** The length field has 16 bits. */
const MAX_ATTRIBUTE_BYTES = 65535

/** One attribute, as it stands in a message. */
export interface RawAttribute {
  readonly type: number
  /** True if the sender marked it as a nest. Not every part of the kernel does. */
  readonly nested: boolean
  /** Bytes from the start of the parsed bytes to the attribute's header. */
  readonly offset: number
  /** A view of the parsed bytes. */
  readonly value: Uint8Array
}

/**
 * Reads the attributes that fill `bytes`. Their values are views of it.
 *
 * @throws NETMEM_NETLINK_MALFORMED for an attribute that is shorter than its header or longer than
 *   the rest.
 */
export function parseAttributes(bytes: Uint8Array): RawAttribute[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const attributes: RawAttribute[] = []
  let at = 0
  while (at < bytes.length) {
    const rest = bytes.length - at
    if (rest < ATTRIBUTE_HEADER_BYTES) {
      throw new NetlinkFormatError(`Netlink attributes end in ${rest} bytes without a header.`)
    }
    const length = view.getUint16(at, true)
    const type = view.getUint16(at + 2, true)
    if (length < ATTRIBUTE_HEADER_BYTES || length > rest) {
      throw new NetlinkFormatError(
        `Netlink attribute ${type & NLA_TYPE_MASK} says that it has ${length} bytes; ${rest} are left.`,
      )
    }
    attributes.push({
      type: type & NLA_TYPE_MASK,
      nested: (type & NLA_F_NESTED) !== 0,
      offset: at,
      value: bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length),
    })
    at += (length + 3) & ~3
  }
  return attributes
}

/** Writes attributes one behind the other into memory that grows. */
export class AttributeWriter {
  #bytes = new Uint8Array(256)
  #length = 0

  /** Returns a copy of the attributes. All nests have ended. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length)
  }

  /** Writes an attribute with `value`. */
  put(type: number, value: Uint8Array): void {
    const start = this.begin(type)
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    this.end(start)
  }

  /** Begins an attribute whose value follows. Returns its place for {@link end}. */
  begin(type: number): number {
    const start = this.#length
    this.#reserve(ATTRIBUTE_HEADER_BYTES)
    new DataView(this.#bytes.buffer).setUint16(start + 2, type, true)
    this.#length += ATTRIBUTE_HEADER_BYTES
    return start
  }

  /**
   * Ends the attribute that {@link begin} began.
   *
   * @throws NETMEM_OUT_OF_RANGE if it has more than 65,535 bytes, the limit of netlink.
   */
  end(start: number): void {
    const length = this.#length - start
    if (length > MAX_ATTRIBUTE_BYTES) {
      throw new ArgumentRangeError(
        'NETMEM_OUT_OF_RANGE',
        `A netlink attribute has ${length} bytes; its length field ends at ${MAX_ATTRIBUTE_BYTES}.`,
      )
    }
    new DataView(this.#bytes.buffer).setUint16(start, length, true)
    const padding = -length & 3
    this.#reserve(padding)
    this.#length += padding
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

const decoder = new TextDecoder()

/** Decodes UTF-8 up to the first NUL, or to the end without a NUL. */
export function cString(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0)
  return decoder.decode(nul < 0 ? bytes : bytes.subarray(0, nul))
}
