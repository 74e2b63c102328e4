/** ARP between Ethernet and IPv4 (RFC 826): who has an address, and who says so. */

import { copyBytes, getUint8, getUint16, setUint16 } from './bytes.ts'
import { ETHERTYPE_IPV4, MAC_BYTES } from './ethernet.ts'
import { IPV4_ADDRESS_BYTES } from './ipv4.ts'

/** Bytes of a packet. */
export const ARP_BYTES = 28

/** Operations of a packet. */
export const ARP_REQUEST = 1
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

/** A packet, read or to be written; one object serves for all. */
export class ArpPacket {
  /** {@link ARP_REQUEST} or {@link ARP_REPLY}; other numbers are for other protocols. */
  operation = 0
  readonly senderMac: Uint8Array = new Uint8Array(MAC_BYTES)
  readonly senderIp: Uint8Array = new Uint8Array(IPV4_ADDRESS_BYTES)
  /** All 0 in a request. */
  readonly targetMac: Uint8Array = new Uint8Array(MAC_BYTES)
  readonly targetIp: Uint8Array = new Uint8Array(IPV4_ADDRESS_BYTES)
}

/**
 * Reads the packet from byte `at` to `end`; padding may follow it.
 *
 * @returns false, with `into` as it was, if the packet is cut or about other kinds of addresses.
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

/** Writes the {@link ARP_BYTES} of a packet at byte `at`, and returns how many they are. */
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
