/** Commands that set and tell the RSS key and table (K: gve_adminq.h, struct gve_adminq_configure_rss). */

import type { Steering } from '../../stack/device/nic/steering.ts'
import { RSS_TABLE_ENTRIES } from '../../stack/rings/nic-types.ts'
import { addressAt, type GuestDma } from '../guest-dma.ts'
import { type Handler, Status } from './admin-layout.ts'
import { RSS_KEY_BYTES } from './describe-device.ts'

/** Toeplitz, as the kernel numbers hash functions (K: include/linux/ethtool.h, ETH_RSS_HASH_TOP). */
const TOEPLITZ = 1
/** Types of packets that are hashed: IPv4 and IPv6 with TCP, with UDP, or with another protocol. */
const HASH_TYPES = 0x0d7
const DESCRIPTOR_BYTES = 8
const TOTAL_BYTES = DESCRIPTOR_BYTES + RSS_KEY_BYTES + 4 * RSS_TABLE_ENTRIES

/**
 * Sets key, table or both. An argument of length 0 keeps the present value. An invalid argument leaves
 * both as they are.
 */
export function configureRss(guest: GuestDma, steering: Steering, queues: number): Handler {
  return (command) => {
    const algorithm = command.getUint8(2)
    const keyBytes = command.getUint16(4)
    const entries = command.getUint16(6)
    if (algorithm !== 0 && algorithm !== TOEPLITZ) return Status.unimplemented
    if (keyBytes !== 0 && keyBytes !== RSS_KEY_BYTES) return Status.invalidArgument
    if (entries !== 0 && entries !== RSS_TABLE_ENTRIES) return Status.invalidArgument
    const key = guest.read(addressAt(command, 8), keyBytes)
    const table = guest.read(addressAt(command, 16), 4 * entries)
    if (keyBytes > 0 && key === undefined) return Status.invalidArgument
    if (entries > 0 && table === undefined) return Status.invalidArgument
    if (table !== undefined && entries > 0) {
      const view = new DataView(table.buffer)
      const wanted = Array.from({ length: entries }, (_, entry) => view.getUint32(4 * entry))
      if (wanted.some((queue) => queue >= queues)) return Status.invalidArgument
      steering.setRssTable(wanted)
    }
    if (key !== undefined && keyBytes > 0) steering.setRssKey(key)
    return Status.passed
  }
}

/** Tells key and table. */
export function queryRss(guest: GuestDma, steering: Steering): Handler {
  return (command) => {
    const room = addressAt(command, 0)
    if (room < TOTAL_BYTES) return Status.invalidArgument
    const answer = new Uint8Array(TOTAL_BYTES)
    const view = new DataView(answer.buffer)
    view.setUint32(0, TOTAL_BYTES)
    view.setUint16(4, HASH_TYPES)
    view.setUint8(6, TOEPLITZ)
    answer.set(steering.rssKey, DESCRIPTOR_BYTES)
    const table = DESCRIPTOR_BYTES + RSS_KEY_BYTES
    for (const [entry, queue] of steering.rssTable.entries()) {
      view.setUint32(table + 4 * entry, queue)
    }
    return guest.write(addressAt(command, 8), answer) ? Status.passed : Status.invalidArgument
  }
}
