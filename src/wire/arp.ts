/**
 * ARP between Ethernet and IPv4 (RFC 826): requests for the MAC address of an IPv4 address, and replies.
 */

import { copyBytes, getUint8, getUint16, setUint16 } from './bytes.ts'
import { ETHERTYPE_IPV4, MAC_BYTES } from './ethernet.ts'
import { IPV4_ADDRESS_BYTES } from './ipv4.ts'

/** Bytes of an ARP packet. */
export const ARP_BYTES = 28

/** ARP operation: asks which MAC address has `targetIp`. */
export const ARP_REQUEST = 1
/** ARP operation: tells the MAC address of `senderIp`. */
export const ARP_REPLY = 2

const HARDWARE_TYPE = 0
const PROTOCOL_TYPE = 2
const HARDWARE_BYTES = 4
const PROTOCOL_BYTES = 5
const OPERATION = 6
const SENDER_MAC = 8
const SENDER_IP = 14
const TARGET_MAC = 18
const TARGET_IP = 24
/** IANA, "Address Resolution Protocol parameters". */
const HARDWARE_ETHERNET = 1

/** ARP packet, read or to be written. One object serves all packets. */
export class ArpPacket {
  /** {@link ARP_REQUEST} or {@link ARP_REPLY}. Other numbers are for other protocols. */
  operation = 0
  /** MAC address of the sender, 6 bytes. */
  readonly senderMac: Uint8Array = new Uint8Array(MAC_BYTES)
  /** IPv4 address of the sender, 4 bytes. */
  readonly senderIp: Uint8Array = new Uint8Array(IPV4_ADDRESS_BYTES)
  /** MAC address of the target, 6 bytes: all 0 in a request. */
  readonly targetMac: Uint8Array = new Uint8Array(MAC_BYTES)
  /** IPv4 address of the target, 4 bytes. */
  readonly targetIp: Uint8Array = new Uint8Array(IPV4_ADDRESS_BYTES)
}

/**
 * Reads the ARP packet from byte `at` to `end`. Padding may follow it.
 *
 * @returns false, with `into` as it was, if the packet is cut or about other kinds of addresses.
 *
 * @example
 * ```ts
 * import { ARP_BYTES, ARP_REPLY, ArpPacket, formatMac, parseArp, parseMac, writeArp } from 'netmem/stack/wire'
 *
 * const bytes = new Uint8Array(ARP_BYTES)
 * const packet = new ArpPacket()
 * packet.operation = ARP_REPLY
 * packet.senderMac.set(parseMac('02:00:5e:10:00:01'))
 * writeArp(bytes, 0, packet)
 *
 * const read = new ArpPacket()
 * if (!parseArp(bytes, 0, bytes.length, read)) throw new Error('cut')
 * console.log(formatMac(read.senderMac)) // 02:00:5e:10:00:01
 * ```
 */
export function parseArp(bytes: Uint8Array, at: number, end: number, into: ArpPacket): boolean {
  if (
    at + ARP_BYTES > end ||
    getUint16(bytes, at + HARDWARE_TYPE) !== HARDWARE_ETHERNET ||
    getUint16(bytes, at + PROTOCOL_TYPE) !== ETHERTYPE_IPV4 ||
    getUint8(bytes, at + HARDWARE_BYTES) !== MAC_BYTES ||
    getUint8(bytes, at + PROTOCOL_BYTES) !== IPV4_ADDRESS_BYTES
  ) {
    return false
  }
  into.operation = getUint16(bytes, at + OPERATION)
  copyBytes(bytes, at + SENDER_MAC, MAC_BYTES, into.senderMac, 0)
  copyBytes(bytes, at + SENDER_IP, IPV4_ADDRESS_BYTES, into.senderIp, 0)
  copyBytes(bytes, at + TARGET_MAC, MAC_BYTES, into.targetMac, 0)
  copyBytes(bytes, at + TARGET_IP, IPV4_ADDRESS_BYTES, into.targetIp, 0)
  return true
}

/**
 * Writes an ARP packet at byte `at`.
 *
 * @returns bytes written: {@link ARP_BYTES}.
 */
export function writeArp(bytes: Uint8Array, at: number, packet: ArpPacket): number {
  setUint16(bytes, at + HARDWARE_TYPE, HARDWARE_ETHERNET)
  setUint16(bytes, at + PROTOCOL_TYPE, ETHERTYPE_IPV4)
  bytes[at + HARDWARE_BYTES] = MAC_BYTES
  bytes[at + PROTOCOL_BYTES] = IPV4_ADDRESS_BYTES
  setUint16(bytes, at + OPERATION, packet.operation)
  copyBytes(packet.senderMac, 0, MAC_BYTES, bytes, at + SENDER_MAC)
  copyBytes(packet.senderIp, 0, IPV4_ADDRESS_BYTES, bytes, at + SENDER_IP)
  copyBytes(packet.targetMac, 0, MAC_BYTES, bytes, at + TARGET_MAC)
  copyBytes(packet.targetIp, 0, IPV4_ADDRESS_BYTES, bytes, at + TARGET_IP)
  return ARP_BYTES
}
