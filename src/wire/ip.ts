/** Facts of both versions of IP: `ipv4.ts` and `ipv6.ts` read and write their headers. */

// Protocols above IP (IANA, "Assigned Internet Protocol Numbers").
/** IP protocol number of TCP. */
export const IPPROTO_TCP = 6
/** IP protocol number of UDP. */
export const IPPROTO_UDP = 17

/** Bytes of the longest IP packet that a length field of 16 bits can tell. */
export const MAX_IP_BYTES = 0xffff

/** Fields of an IP header of either version, read or to be written. One object serves all packets. */
export class IpHeader {
  // Read by `parseIpv4` and `parseIpv6`:
  /** Bytes of the header with IPv4 options or IPv6 extension headers. */
  headerBytes = 0
  /** Bytes of the packet on the wire, header included. */
  packetBytes = 0
  /** Protocol of the payload: 0 to 255, such as {@link IPPROTO_TCP}. */
  protocol = 0
  /** True if another fragment of the packet follows this one. */
  moreFragments = false
  /** Place of a fragment's payload in its packet: bytes, a multiple of 8. */
  fragmentOffset = 0
  // `readIpv4Details` and `readIpv6Details` read these fields, since most receivers do not need them:
  /** Type of service or traffic class: DSCP and ECN (RFC 2474, RFC 3168). */
  trafficClass = 0
  /** IPv4's time to live, IPv6's hop limit: 0 to 255. */
  timeToLive = 64
  /** IPv6 only: 20 bits. */
  flowLabel = 0
  /** IPv4: 16 bits. IPv6: of fragments alone, signed 32 bits, read by `parseIpv6`. */
  identification = 0
  /** IPv4 only: no router may cut the packet. */
  dontFragment = false
}

/** True for each fragment of a packet, the first one included. */
export function isFragment(header: IpHeader): boolean {
  return header.moreFragments || header.fragmentOffset !== 0
}
