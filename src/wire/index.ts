/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `netmem/stack/wire`: codecs of frames, for authors of links, NICs and tests. Each protocol has a
 * parser, which reads into an object of the caller and never outside the bytes it is given, and a
 * writer. None makes garbage. `parseFrame` reads all headers of a frame at once.
 *
 * @module
 */

export { formatAddress, formatMac, parseAddress, parseMac } from './address.ts'
export { ARP_BYTES, ARP_REPLY, ARP_REQUEST, ArpPacket, parseArp, writeArp } from './arp.ts'
// Checksums, of bytes and of whole frames.
export { ALL_ONES, foldSum, pseudoHeaderSum, sumBytes } from './checksum.ts'
// Control messages of devmem TCP.
export {
  type ControlMessage,
  ControlReader,
  DEVMEM_CMSG_SPACE,
  parseControl,
  SCM_DEVMEM_DMABUF,
  SCM_DEVMEM_LINEAR,
  SOL_SOCKET,
  writeDmaBuf,
  writeLinear,
} from './control-messages.ts'
export {
  ETHERNET_HEADER_BYTES,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  type EthernetHeader,
  MAC_BYTES,
  parseEthernet,
  type VlanTag,
  writeEthernet,
} from './ethernet.ts'
export {
  ChecksumResult,
  checksumOffset,
  fillChecksums,
  fillIpChecksum,
  fillPartialChecksum,
  hasPartialChecksum,
  verifyChecksums,
} from './frame-checksums.ts'
// Whole frames, and memory for them.
export { FrameKind, FrameLayout, parseCutFrame, parseFrame } from './frame-layout.ts'
export { createFrameMemory, type FrameMemory } from './frame-memory.ts'
export { IPPROTO_TCP, IPPROTO_UDP, IpHeader, isFragment, MAX_IP_BYTES } from './ip.ts'
export {
  IPV4_ADDRESS_BYTES,
  IPV4_CHECKSUM,
  IPV4_HEADER_BYTES,
  IPV4_ID,
  IPV4_SOURCE,
  IPV4_TOTAL_BYTES,
  parseIpv4,
  readIpv4Details,
  writeIpv4,
} from './ipv4.ts'
export {
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPV6_ADDRESS_BYTES,
  IPV6_HEADER_BYTES,
  IPV6_PAYLOAD_BYTES,
  IPV6_SOURCE,
  parseIpv6,
  readIpv6Details,
  writeIpv6,
} from './ipv6.ts'
export {
  ACK,
  CWR,
  ECE,
  FIN,
  PSH,
  parseTcp,
  RST,
  SYN,
  TCP_ACK,
  TCP_CHECKSUM,
  TCP_DATA_OFFSET,
  TCP_FLAGS,
  TCP_HEADER_BYTES,
  TCP_SEQ,
  TCP_WINDOW,
  type TcpHeader,
  URG,
  writeTcp,
} from './tcp.ts'
export {
  MAX_TCP_OPTION_BYTES,
  parseTcpOptions,
  TcpOptions,
  writeTcpOptions,
} from './tcp-options.ts'
// The hash that spreads flows over queues.
export {
  createToeplitzTable,
  DEFAULT_RSS_KEY,
  type ToeplitzTable,
  toeplitzHash,
} from './toeplitz.ts'
export {
  parseUdp,
  UDP_CHECKSUM,
  UDP_HEADER_BYTES,
  type UdpHeader,
  writeUdp,
} from './udp.ts'
