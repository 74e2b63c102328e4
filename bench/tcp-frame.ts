/** Headers of the frames of the card's figures, as a sender leaves them that has offloads. */

import {
  ACK,
  ETHERNET_HEADER_BYTES,
  ETHERTYPE_IPV4,
  IPPROTO_TCP,
  IpHeader,
  parseAddress,
  parseMac,
  TCP_HEADER_BYTES,
  TcpOptions,
  writeEthernet,
  writeIpv4,
  writeTcp,
  writeTcpOptions,
} from 'netmem/stack/wire'

/** Ethernet, IPv4 and TCP with timestamps. */
export const HEADER_BYTES = 66

const DESTINATION_MAC = parseMac('02:00:00:00:00:02')
const SOURCE_MAC = parseMac('02:00:00:00:00:01')
const SOURCE = parseAddress('10.0.0.1')
const DESTINATION = parseAddress('10.0.0.2')
const TCP_FIELDS = {
  sourcePort: 5201,
  destinationPort: 80,
  seq: 0,
  ack: 0,
  tcpFlags: ACK,
  window: 500,
  urgentPointer: 0,
}

/** Writes the headers of a TCP segment with `payloadBytes` bytes. TCP's checksum is left to a card. */
export function writeHeaders(target: Uint8Array, payloadBytes: number): void {
  const ip = new IpHeader()
  ip.protocol = IPPROTO_TCP
  ip.packetBytes = HEADER_BYTES - ETHERNET_HEADER_BYTES + payloadBytes
  const options = new TcpOptions()
  options.hasTimestamps = true
  const ipAt = writeEthernet(target, 0, DESTINATION_MAC, SOURCE_MAC, ETHERTYPE_IPV4)
  const tcpAt = ipAt + writeIpv4(target, ipAt, ip, SOURCE, DESTINATION)
  const optionBytes = writeTcpOptions(target, tcpAt + TCP_HEADER_BYTES, options)
  writeTcp(target, tcpAt, TCP_FIELDS, optionBytes)
}
