/** Arguments of the commands that create queues, checked (K: gve_adminq.h, gve_adminq_create_rx_queue). */

import { RX_COMPLETION_WORDS } from '../formats/rx-completion.ts'
import { RX_DESCRIPTOR_WORDS } from '../formats/rx-descriptor.ts'
import { TX_COMPLETION_WORDS } from '../formats/tx-completion.ts'
import { TX_DESCRIPTOR_WORDS } from '../formats/tx-descriptor.ts'
import { addressAt, type GuestDma } from '../guest-dma.ts'
import type { RxRingParts } from '../rings/gvnic-rx-ring.ts'
import type { TxRingParts } from '../rings/gvnic-tx-ring.ts'
import {
  HEADER_BUFFER_BYTES,
  MAX_BUFFER_BYTES,
  MAX_RING_ENTRIES,
  MIN_BUFFER_BYTES,
  MIN_RING_ENTRIES,
} from './describe-device.ts'

/** Id in place of a page list: the descriptors have addresses. */
const RAW_ADDRESSING = 0xffff_ffff
/** Bytes of the page in which the card leaves the numbers of a queue's doorbell and counter. */
const RESOURCE_BYTES = 64

/** A queue to create. */
interface NewQueue<Rings> {
  readonly queue: number
  /** Address at which the driver looks for the numbers of doorbell and counter. */
  readonly resources: number
  readonly rings: Rings
}

/** Reads the command that creates a transmit queue. Returns `undefined` unless all of it is right. */
export function readCreateTx(
  command: DataView,
  guest: GuestDma,
  blocks: number,
): NewQueue<TxRingParts> | undefined {
  const queue = command.getUint32(0)
  const resources = addressAt(command, 8)
  const block = command.getUint32(28)
  const entries = command.getUint16(40)
  const completionEntries = command.getUint16(42)
  if (command.getUint32(24) !== RAW_ADDRESSING || block >= blocks) return undefined
  if (!isRing(entries) || !isRing(completionEntries)) return undefined
  if (!guest.isWritable(resources, RESOURCE_BYTES)) return undefined
  const descriptors = guest.words(addressAt(command, 16), entries * TX_DESCRIPTOR_WORDS * 4)
  const completionBytes = completionEntries * TX_COMPLETION_WORDS * 4
  const completions = guest.words(addressAt(command, 32), completionBytes)
  if (descriptors === undefined || completions === undefined) return undefined
  return { queue, resources, rings: { queue, descriptors, completions, block } }
}

/** Reads the command that creates a receive queue. Returns `undefined` unless all of it is right. */
export function readCreateRx(
  command: DataView,
  guest: GuestDma,
  blocks: number,
): (NewQueue<RxRingParts> & { readonly coalesce: boolean }) | undefined {
  const queue = command.getUint32(0)
  const block = command.getUint32(12)
  const resources = addressAt(command, 16)
  const completionEntries = command.getUint16(44)
  const bufferBytes = command.getUint16(46)
  const bufferEntries = command.getUint16(48)
  const headerBytes = command.getUint16(52)
  if (command.getUint32(40) !== RAW_ADDRESSING || block >= blocks) return undefined
  if (!isRing(completionEntries) || !isRing(bufferEntries)) return undefined
  if (bufferBytes < MIN_BUFFER_BYTES || bufferBytes > MAX_BUFFER_BYTES) return undefined
  if (headerBytes !== 0 && headerBytes !== HEADER_BUFFER_BYTES) return undefined
  if (!guest.isWritable(resources, RESOURCE_BYTES)) return undefined
  const completionBytes = completionEntries * RX_COMPLETION_WORDS * 4
  const completions = guest.words(addressAt(command, 24), completionBytes)
  const buffers = guest.words(addressAt(command, 32), bufferEntries * RX_DESCRIPTOR_WORDS * 4)
  if (completions === undefined || buffers === undefined) return undefined
  const rings = { completions, buffers, bufferBytes, headerBytes, block }
  return { queue, resources, rings, coalesce: command.getUint8(50) !== 0 }
}

/** Leaves the numbers of a queue's doorbell and counter for its driver. */
export function writeResources(
  guest: GuestDma,
  address: number,
  doorbell: number,
  counter: number,
): void {
  const numbers = new DataView(new ArrayBuffer(8))
  numbers.setUint32(0, doorbell)
  numbers.setUint32(4, counter)
  guest.write(address, new Uint8Array(numbers.buffer))
}

function isRing(entries: number): boolean {
  const isPower = (entries & (entries - 1)) === 0
  return isPower && entries >= MIN_RING_ENTRIES && entries <= MAX_RING_ENTRIES
}
