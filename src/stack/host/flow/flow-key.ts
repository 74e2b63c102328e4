/**
 * Keys of flows: addresses, ports and protocol of one direction. VLAN tags are not part of a key, so
 * that a flow whose directions are tagged differently is one.
 */

import { formatAddress } from '../../../wire/address.ts'
import { getInt32, setInt32 } from '../../../wire/bytes.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'

/** Number of 32-bit words of a key: source, destination, ports, and protocol with the IP version. */
export const KEY_WORDS = 10

const SOURCE = 0
const DESTINATION = 4
/** Indices of the word of the ports, and of the protocol with the IP version. */
export const PORTS = 8
export const PROTOCOL = 9

/** Key of a flow. {@link FlowKey.read} overwrites it, so that one object serves all packets. */
export class FlowKey {
  /** The key as 10 words of 32 bits. */
  readonly words: Int32Array

  constructor(words: Int32Array = new Int32Array(KEY_WORDS)) {
    this.words = words
  }

  /** Reads the key of a TCP or UDP frame that begins at byte `offset` and has the layout `layout`. */
  read(layout: FrameLayout, bytes: Uint8Array, offset = 0): this {
    const { words } = this
    words.fill(0)
    const source = offset + layout.sourceOffset
    const destination = offset + layout.destinationOffset
    for (let word = 0; word < layout.addressBytes >> 2; word++) {
      words[SOURCE + word] = getInt32(bytes, source + 4 * word)
      words[DESTINATION + word] = getInt32(bytes, destination + 4 * word)
    }
    words[PORTS] = (layout.sourcePort << 16) | layout.destinationPort
    words[PROTOCOL] = (layout.ipVersion << 8) | layout.protocol
    return this
  }

  /** Returns a copy to keep. */
  copy(): FlowKey {
    return new FlowKey(this.words.slice())
  }

  /** Version of IP: 4 or 6. */
  get ipVersion(): number {
    return (this.words[PROTOCOL] ?? 0) >> 8
  }

  /** IP protocol number: 6 is TCP, 17 is UDP. */
  get protocol(): number {
    return (this.words[PROTOCOL] ?? 0) & 0xff
  }

  /** 0 to 65,535. */
  get sourcePort(): number {
    return (this.words[PORTS] ?? 0) >>> 16
  }

  /** 0 to 65,535. */
  get destinationPort(): number {
    return (this.words[PORTS] ?? 0) & 0xffff
  }

  /** Source address, such as `192.0.2.1` or `2001:db8::1` (RFC 5952). */
  get source(): string {
    return this.#address(SOURCE)
  }

  /** Destination address, as {@link source}. */
  get destination(): string {
    return this.#address(DESTINATION)
  }

  /** Returns text for people, such as `192.0.2.1:443 > 192.0.2.2:5201`. */
  toString(): string {
    return `${this.#end(this.source, this.sourcePort)} > ${this.#end(this.destination, this.destinationPort)}`
  }

  #address(from: number): string {
    const bytes = new Uint8Array(this.ipVersion === 6 ? 16 : 4)
    for (let at = 0; at < bytes.length; at += 4) setInt32(bytes, at, this.words[from + at / 4] ?? 0)
    return formatAddress(bytes)
  }

  #end(host: string, port: number): string {
    return this.ipVersion === 6 ? `[${host}]:${port}` : `${host}:${port}`
  }
}

/** True if `words` has the key `key` from its word `at` on. */
export function sameWords(words: Int32Array, at: number, key: Int32Array): boolean {
  for (let word = 0; word < KEY_WORDS; word++) {
    if (words[at + word] !== key[word]) return false
  }
  return true
}
