/**
 * What a flow is told by: addresses, ports and protocol of one direction. VLAN tags are not part of
 * it, so that a flow whose directions are tagged differently is one.
 */

import type { FrameLayout } from '../../../wire/frame-layout.ts'

/** 32-bit words of a key: source, destination, ports, and protocol with the IP version. */
export const KEY_WORDS = 10

const SOURCE = 0
const DESTINATION = 4
/** Words of the ports, and of the protocol with the IP version. */
export const PORTS = 8
export const PROTOCOL = 9

/** One object for all packets: {@link FlowKey.read} overwrites it. */
export class FlowKey {
  readonly words: Int32Array

  constructor(words: Int32Array = new Int32Array(KEY_WORDS)) {
    this.words = words
  }

  /** The key of the frame at byte `offset` that `layout` is of; meaningful for TCP and UDP alone. */
  read(layout: FrameLayout, bytes: Uint8Array, offset = 0): this {
    const { words } = this
    words.fill(0)
    const source = offset + layout.sourceOffset
    const destination = offset + layout.destinationOffset
    for (let word = 0; word < layout.addressBytes >> 2; word++) {
      words[SOURCE + word] = word32(bytes, source + 4 * word)
      words[DESTINATION + word] = word32(bytes, destination + 4 * word)
    }
    words[PORTS] = (layout.sourcePort << 16) | layout.destinationPort
    words[PROTOCOL] = (layout.ipVersion << 8) | layout.protocol
    return this
  }

  /** The key of the other direction. */
  reversed(): FlowKey {
    const key = this.copy()
    key.words.copyWithin(SOURCE, DESTINATION, PORTS)
    key.words.set(this.words.subarray(SOURCE, DESTINATION), DESTINATION)
    key.words[PORTS] = (this.destinationPort << 16) | this.sourcePort
    return key
  }

  /** One of its own, to keep. */
  copy(): FlowKey {
    return new FlowKey(this.words.slice())
  }

  equals(other: FlowKey): boolean {
    return sameWords(this.words, 0, other.words)
  }

  /** 4 or 6. */
  get ipVersion(): number {
    return (this.words[PROTOCOL] ?? 0) >> 8
  }

  /** IP protocol number: 6 is TCP, 17 UDP. */
  get protocol(): number {
    return (this.words[PROTOCOL] ?? 0) & 0xff
  }

  get sourcePort(): number {
    return (this.words[PORTS] ?? 0) >>> 16
  }

  get destinationPort(): number {
    return (this.words[PORTS] ?? 0) & 0xffff
  }

  /** As `192.0.2.1` or `2001:db8::1` (RFC 5952). */
  get source(): string {
    return address(this.words.subarray(SOURCE, DESTINATION), this.ipVersion)
  }

  get destination(): string {
    return address(this.words.subarray(DESTINATION, PORTS), this.ipVersion)
  }

  /** As `192.0.2.1:443 > [2001:db8::1]:5201`, for people. */
  toString(): string {
    return `${this.#end(this.source, this.sourcePort)} > ${this.#end(this.destination, this.destinationPort)}`
  }

  #end(host: string, port: number): string {
    return this.ipVersion === 6 ? `[${host}]:${port}` : `${host}:${port}`
  }
}

/** Whether `words` has the key `key` from its word `at` on. */
export function sameWords(words: Int32Array, at: number, key: Int32Array): boolean {
  for (let word = 0; word < KEY_WORDS; word++) {
    if (words[at + word] !== key[word]) return false
  }
  return true
}

function word32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  )
}

function address(words: Int32Array, ipVersion: number): string {
  if (ipVersion !== 6) {
    const word = words[0] ?? 0
    return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`
  }
  const groups: string[] = []
  for (const word of words) groups.push((word >>> 16).toString(16), (word & 0xffff).toString(16))
  // RFC 5952, 4.2: the longest run of two zeros or more is left out, the first of equal ones.
  let begin = 0
  let length = 1
  for (let at = 0; at < 8; at++) {
    let end = at
    while (groups[end] === '0') end++
    if (end - at > length) {
      begin = at
      length = end - at
    }
  }
  if (length < 2) return groups.join(':')
  return `${groups.slice(0, begin).join(':')}::${groups.slice(begin + length).join(':')}`
}
