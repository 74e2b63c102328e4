// The names that may change, each in one line. The other files of this folder import them from here,
// so a rename touches this file alone.
import { retain as addReferences } from 'netmem'

export { attachPool, createFrag, createSlotAllocator } from 'netmem'
export { wakeBatching as lowWater } from 'netmem/linux'
export { readMessages } from 'netmem/net'

export { openNetmemDriver, openPageDriver } from 'netmem/stack'

/** The link that takes frames from the stack's thread. */
export const INJECTED = { kind: 'injected' }
/** Size of the segments that a generator makes. */
export const segmentsOf = (mssBytes) => ({ mssBytes })
/** Counter of frames that the NIC has dropped. */
export const RX_DROPS = 'rx_hw_drops'
/** Counter of a replay's packets with a wrong checksum. */
export const CHECKSUM_DROPS = 'csum_bad'

/** NICs and memory of a device's thread. */
export const openNic = (device, options) => device.openNic(options)
export const openMemory = (device, bytes) => device.openMemory(bytes)
export const closeMemory = (memory) => memory.close()
/** Ends a binding, if there is one. */
export const closeBinding = (binding) => binding?.close()

/** Adds references to a handle that is out. */
export const retain = (pool, m, count) => {
  pool.references(m) // refuses a handle of another pool, which retain() takes
  addReferences(m, count)
}
/** Bytes of copied payload that are out. */
export const copiedBytesOut = (pool) => pool.stats().copied.bytes_out
export const referencesOf = (pool, m) => pool.references(m)
/** Describes a protocol's messages: a header of fixed size says the length of its payload. */
export const framing = (headerBytes, payloadBytes, rest = {}) => ({
  headerBytes,
  payloadBytes,
  ...rest,
})
