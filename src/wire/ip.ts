/** Facts of both versions of IP: `ipv4.ts` and `ipv6.ts` read and write their headers. */

/** Protocols above IP (IANA, "Assigned Internet Protocol Numbers"). */
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17

/** Length of the longest packet that a length field of 16 bits can tell. */
export const MAX_IP_BYTES = 0xffff

/** Fields of a header of either version, read or to be written. One object serves all packets. */
export class IpHeader {
  // Read by `parseIpv4` and `parseIpv6`:
  /** Bytes of the header with IPv4 options or IPv6 extension headers. */
  headerBytes = 0
  /** Bytes of the packet on the wire, header included. */
  packetBytes = 0
  /** Protocol of the payload. */
  protocol = 0
  /** True if another fragment of the packet follows this one. */
  moreFragments = false
  /** Place of a fragment's payload in its packet: bytes, a multiple of 8. */
  fragmentOffset = 0
  // Read by `readIpv4Details` and `readIpv6Details`, since most receivers need none of them:
  /** Type of service or traffic class: DSCP and ECN (RFC 2474, RFC 3168). */
  trafficClass = 0
  /** IPv4's time to live, IPv6's hop limit. */
  timeToLive = 64
  /** IPv6 only: 20 bits. */
  flowLabel = 0
  /** IPv4: 16 bits. IPv6: of fragments alone, signed 32 bits, read by `parseIpv6`. */
  identification = 0
  /** IPv4 only. */
  dontFragment = false
}

/** True for each fragment of a packet, the first one included. */
export function isFragment(header: IpHeader): boolean {
  return header.moreFragments || header.fragmentOffset !== 0
}
