/**
 * Hash of flow tables: HalfSipHash-1-3, which Linux uses for hash tables with keys from the network
 * (Linux, Documentation/security/siphash.rst). A sender who does not know the secret cannot make flows
 * that share a slot. MurmurHash with a seed is not enough: some of its collisions hold for every seed.
 */

import { type FlowKey, PORTS, PROTOCOL } from './flow-key.ts'

/** Secret of a hash: 64 random bits, as two signed 32-bit integers. */
export interface HashSecret {
  /** Signed 32 bits. */
  readonly low: number
  /** Signed 32 bits. */
  readonly high: number
}

/** Returns a secret that no sender can know. */
export function randomSecret(): HashSecret {
  const words = crypto.getRandomValues(new Int32Array(2))
  return { low: words[0] ?? 0, high: words[1] ?? 0 }
}

/**
 * Returns the hash of a key, as signed 32-bit. The round stands twice, since a function of it would
 * have to return four words, and allocate.
 */
export function flowHash({ words }: FlowKey, { low, high }: HashSecret): number {
  let v0 = low
  let v1 = high
  let v2 = low ^ 0x6c79_6765
  let v3 = high ^ 0x7465_6462
  // IPv4 addresses take the first of four words, and the other three are 0.
  const step = (words[PROTOCOL] ?? 0) >> 8 === 4 ? 4 : 1
  for (let at = 0; at <= PROTOCOL; at += at < PORTS ? step : 1) {
    const word = words[at] ?? 0
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  v2 ^= 0xff
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  return v1 ^ v3
}
