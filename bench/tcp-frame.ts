/** Headers of the frames of the card's figures, as a sender leaves them that has offloads. */

/** Ethernet, IPv4 and TCP with timestamps. */
export const HEADER_BYTES = 66

const IP = 14
const TCP = 34

/** Writes the headers of a TCP segment with `payloadBytes` bytes. Checksums are left to a card. */
export function writeHeaders(target: Uint8Array, payloadBytes: number): void {
  const view = new DataView(target.buffer, target.byteOffset, HEADER_BYTES)
  target.fill(0, 0, HEADER_BYTES)
  target.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0])
  view.setUint8(IP, 0x45)
  view.setUint16(IP + 2, HEADER_BYTES - IP + payloadBytes)
  view.setUint8(IP + 8, 64)
  view.setUint8(IP + 9, 6)
  target.set([10, 0, 0, 1, 10, 0, 0, 2], IP + 12)
  view.setUint16(TCP, 5201)
  view.setUint16(TCP + 2, 80)
  // A header of 32 bytes with ACK alone; NOP, NOP and timestamps.
  view.setUint16(TCP + 12, 0x8010)
  view.setUint16(TCP + 14, 500)
  view.setUint32(TCP + 20, 0x0101_080a)
}
