/**
 * Tells a segment that was damaged from one whose checksum its sender has left to hardware. A capture
 * made on the sending or receiving host shows both as a wrong checksum. docs/stack.md has the rules.
 */

import type { FrameLayout } from '../../wire/frame-layout.ts'
import type { FlowKey } from '../host/flow/flow-key.ts'
import type { AnySkb } from '../host/skb/skb.ts'

/** The longest frame without jumbo frames: 1500 bytes, two VLAN tags, the Ethernet header. Longer ones may have been merged or not yet cut. */
const LONGEST_FRAME = 1522
/** As many wrong checksums from a sender without any right one are no damage. */
const SENDER_HELD = 8
/** Packets held of all senders: few, since each keeps a buffer. */
const MAX_HELD = 16
/** Senders that are told apart. */
const MAX_SENDERS = 2 ** 17

/** All that comes from one address. */
export class Sender {
  /** A packet had a right checksum, or one that is right as far as it goes (partial). */
  hasRight = false
  /** One of them was longer than {@link LONGEST_FRAME}. */
  rightLong = false
  /** Packets with wrong checksums that wait for a right one, which would condemn them. */
  readonly held: AnySkb[] = []
  /** So many wrong ones and no right one: wrong says nothing of this sender. */
  offloads = false
}

/** Decision about a packet with a wrong checksum. */
export type Verdict = 'take' | 'drop' | 'hold'

export class SenderChecksums {
  /** Packets with wrong checksums that were dropped. */
  dropped = 0
  readonly #senders = new Map<string, Sender>()
  /** Senders beyond {@link MAX_SENDERS}. */
  readonly #rest = new Sender()
  readonly #take: (skb: AnySkb) => void
  /** Senders with packets held, oldest first. */
  readonly #holding = new Set<Sender>()
  #held = 0

  /** `take` gets packets that were held and are good. */
  constructor(take: (skb: AnySkb) => void) {
    this.#take = take
  }

  /** Returns the sender of a flow. */
  senderOf(key: FlowKey): Sender {
    const address = key.source
    let sender = this.#senders.get(address)
    if (sender === undefined) {
      if (this.#senders.size >= MAX_SENDERS) return this.#rest
      sender = new Sender()
      this.#senders.set(address, sender)
    }
    return sender
  }

  /** Notes a packet with right checksums. What is held of its sender was damaged. */
  sawRight(sender: Sender, skb: AnySkb, layout: FrameLayout): void {
    sender.hasRight = true
    if (!sender.rightLong) {
      const bytes = layout.headerLength + layout.payloadLength / skb.segments
      sender.rightLong = bytes > LONGEST_FRAME
    }
    if (sender.held.length === 0) return
    for (const held of this.#release(sender)) this.drop(held)
  }

  /** Judges a packet with a wrong checksum; the caller does what is said. */
  judge(sender: Sender, layout: FrameLayout): Verdict {
    const isLong = layout.headerLength + layout.payloadLength > LONGEST_FRAME
    if (isLong && !sender.rightLong) return 'take'
    if (sender.hasRight) return 'drop'
    return sender.offloads ? 'take' : 'hold'
  }

  /** Frees a damaged packet. */
  drop(skb: AnySkb): void {
    this.dropped++
    skb.free()
  }

  /** Holds a packet until its sender is known. */
  hold(sender: Sender, skb: AnySkb): void {
    sender.held.push(skb)
    this.#holding.add(sender)
    this.#held++
    if (sender.held.length >= SENDER_HELD) this.#takeHeld(sender)
    if (this.#held <= MAX_HELD) return
    const [oldest] = this.#holding
    if (oldest !== undefined) this.#takeHeld(oldest)
  }

  /** Takes all that is held: there is nothing that speaks against it. */
  settle(): void {
    for (const sender of this.#holding) this.#takeHeld(sender)
  }

  /** Frees all that is held. */
  abandon(): void {
    for (const sender of this.#holding) for (const skb of this.#release(sender)) skb.free()
  }

  #takeHeld(sender: Sender): void {
    sender.offloads = true
    for (const skb of this.#release(sender)) this.#take(skb)
  }

  #release(sender: Sender): AnySkb[] {
    const held = sender.held.splice(0)
    this.#holding.delete(sender)
    this.#held -= held.length
    return held
  }
}
