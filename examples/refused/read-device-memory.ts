/**
 * A program that would read device memory from the host. It does not compile. Without
 * that check each of these is a crash, or bytes of another connection.
 */

import { createPool, type Frag, type NetIov, type Page, type PagePool } from 'netmem'
import { testDeviceProvider } from 'netmem/testing'

const pool = createPool(testDeviceProvider({ netIovs: 8 }))

export function itsBytes(iov: NetIov): Uint8Array {
  return pool.bytes(iov)
}

export function asPage(iov: NetIov): Page {
  return iov
}

export function asIndex(iov: NetIov, memory: Uint8Array): number | undefined {
  return memory[iov]
}

export const asPool: PagePool<Page> = pool

export function unasked(frag: Frag): Uint8Array {
  return frag.bytes
}

/** Compiles, since it asks first. */
export function asked(frag: Frag): number {
  return frag.kind === 'page' ? frag.bytes.length : frag.offset
}
