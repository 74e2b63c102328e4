/**
 * Packet types of completions. The driver asks for a map of all 1024 once, which names layer 3 and
 * layer 4 of each (K: gve_adminq.h, struct gve_ptype_map).
 */

import { FrameKind } from '../../wire/frame-layout.ts'
import { addressAt, type GuestDma } from '../guest-dma.ts'
import { type Handler, Status } from './admin-layout.ts'

const MAP_BYTES = 2 * 1024

// Values of layer 3 and 4 in the map. 0 is unknown.
const L3_IPV4 = 2
const L3_IPV6 = 3
const L4_TCP = 2
const L4_UDP = 3

/** Layers of each type, by its index. */
const LAYERS: readonly (readonly [l3: number, l4: number])[] = [
  [0, 0],
  // Fragments and IP without TCP or UDP. Layer 4 stays unknown, since the hash covers addresses alone.
  [L3_IPV4, 0],
  [L3_IPV4, L4_TCP],
  [L3_IPV4, L4_UDP],
  [L3_IPV6, 0],
  [L3_IPV6, L4_TCP],
  [L3_IPV6, L4_UDP],
]

/**
 * Returns the index of a packet's type.
 *
 * @param kind value of {@link FrameKind}.
 * @param ipVersion 4, 6, or 0 without IP.
 */
export function packetTypeIndex(kind: number, ipVersion: number): number {
  if (ipVersion === 0 || kind < FrameKind.fragment) return 0
  const first = ipVersion === 4 ? 1 : 4
  if (kind === FrameKind.tcp) return first + 1
  return kind === FrameKind.udp ? first + 2 : first
}

/** Writes the map for the driver. */
export function packetTypeMap(guest: GuestDma): Handler {
  return (command) => {
    if (addressAt(command, 0) !== MAP_BYTES) return Status.invalidArgument
    const map = new Uint8Array(MAP_BYTES)
    for (const [index, layers] of LAYERS.entries()) map.set(layers, 2 * index)
    return guest.write(addressAt(command, 8), map) ? Status.passed : Status.invalidArgument
  }
}
