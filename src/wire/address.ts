/** Addresses as text and as bytes: IPv4, IPv6 (RFC 4291, 2.2; RFC 5952), MAC. Not for hot paths. */

import { ArgumentRangeError } from '../errors.ts'
import { getUint16 } from './bytes.ts'

/**
 * Returns the 4 bytes of an IPv4 address or the 16 bytes of an IPv6 address without zone.
 *
 * @throws NETMEM_OUT_OF_RANGE for other text.
 */
export function parseAddress(text: string): Uint8Array {
  const bytes = text.includes(':') ? ipv6(text) : ipv4(text)
  return bytes === undefined ? refuse(text, 'IPv4 or IPv6 address') : Uint8Array.from(bytes)
}

/**
 * Returns the text of the address at `offset`, in the one form that RFC 5952 recommends.
 *
 * @param addressBytes 4 or 16. By default, all bytes from `offset`.
 * @throws NETMEM_OUT_OF_RANGE for another number, or when the bytes end before the address.
 */
export function formatAddress(
  bytes: Uint8Array,
  offset = 0,
  addressBytes: number = bytes.length - offset,
): string {
  const end = offset + addressBytes
  if ((addressBytes !== 4 && addressBytes !== 16) || end > bytes.length || offset < 0) {
    return refuse(`${addressBytes} bytes of ${bytes.length} at ${offset}`, 'IP address')
  }
  const address = bytes.subarray(offset, end)
  if (addressBytes === 4) return address.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => getUint16(address, 2 * i))
  // IPv4-mapped (RFC 5952, 5).
  if (groups.every((group, i) => i > 5 || group === (i < 5 ? 0 : 0xffff))) {
    return `::ffff:${address.subarray(12).join('.')}`
  }
  const { from, count } = longestZeros(groups)
  if (count < 2) return hex(groups)
  return `${hex(groups.slice(0, from))}::${hex(groups.slice(from + count))}`
}

/**
 * Returns the 6 bytes of a MAC address such as `02:00:5e:10:00:01`.
 *
 * @throws NETMEM_OUT_OF_RANGE for other text.
 */
export function parseMac(text: string): Uint8Array {
  if (!/^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(text)) return refuse(text, 'MAC address')
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16))
}

/**
 * Returns the text of the MAC address at `offset`.
 *
 * @throws NETMEM_OUT_OF_RANGE when the bytes end before it.
 */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  const mac = bytes.subarray(offset, offset + 6)
  if (mac.length !== 6 || offset < 0) return refuse(`${bytes.length} bytes`, 'MAC address')
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':')
}

function ipv4(text: string): number[] | undefined {
  // No leading zeros: some read them as octal (RFC 6943, 3.1.1).
  const byte = '(0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])'
  const match = new RegExp(`^${byte}\\.${byte}\\.${byte}\\.${byte}$`).exec(text)
  return match?.slice(1).map(Number)
}

function ipv6(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head = '', tail] = halves
  const before = ipv6Groups(head, tail === undefined)
  const after = tail === undefined ? [] : ipv6Groups(tail, true)
  if (before === undefined || after === undefined) return undefined
  const missing = 16 - before.length - after.length
  // `::` stands for one group at least.
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined
  return [...before, ...new Array<number>(missing).fill(0), ...after]
}

/** Returns the bytes of groups between colons. The last may be an IPv4 address if the address `ends`. */
function ipv6Groups(text: string, ends: boolean): number[] | undefined {
  if (text === '') return []
  const groups = text.split(':')
  const bytes: number[] = []
  for (const [i, group] of groups.entries()) {
    if (/^[\da-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
    } else {
      const dotted = ends && i === groups.length - 1 ? ipv4(group) : undefined
      if (dotted === undefined) return undefined
      bytes.push(...dotted)
    }
  }
  return bytes
}

/** Returns the first of the longest runs of groups that are 0. */
function longestZeros(groups: readonly number[]): { from: number; count: number } {
  let longest = { from: 0, count: 0 }
  let from = 0
  for (const [i, group] of groups.entries()) {
    if (group !== 0) from = i + 1
    else if (i + 1 - from > longest.count) longest = { from, count: i + 1 - from }
  }
  return longest
}

function hex(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':')
}

function refuse(what: string, wanted: string): never {
  throw new ArgumentRangeError('NETMEM_OUT_OF_RANGE', `Invalid ${wanted}: ${what}.`)
}
