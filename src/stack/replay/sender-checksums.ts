/**
 * Tells damaged segments from those whose sender left the checksum to hardware. A capture made on
 * the sending or receiving host shows both with a wrong checksum. docs/stack.md has the rules.
 */

import { FrameLayout } from '../../wire/frame-layout.ts'
import type { FlowKey } from '../host/flow/flow-key.ts'
import type { AnySkb } from '../host/skb/skb.ts'

/**
 * Bytes of the longest frame that is no jumbo frame: 1500, two VLAN tags, the Ethernet header.
 * Longer ones may have been merged, or not yet cut.
 */
const LONGEST_FRAME = 1522
/** Number of wrong checksums from a sender, without a right one, that is no damage. */
const SENDER_HELD = 8
/** Packets held of all senders. They are few, since each keeps a buffer. */
const MAX_HELD = 16
/** Limit of known senders. */
const MAX_SENDERS = 2 ** 17

/** Takes over a packet, with its layout and the key of its flow. */
export type TakePacket = (skb: AnySkb, layout: FrameLayout, key: FlowKey) => void

/** A packet with a wrong checksum, as {@link TakePacket} gets it. */
type HeldPacket = Parameters<TakePacket>

/** State of one source address. */
export class Sender {
  /** True after a packet with a right checksum, or a partial one. */
  hasRight = false
  /** True after such a packet longer than {@link LONGEST_FRAME}. */
  rightLong = false
  /** Number of its packets that are held. A right checksum would prove them damaged. */
  held = 0
  /** True after many wrong checksums and no right one, as hosts with checksum offload show them. */
  offloads = false
}

export class SenderChecksums {
  /** Packets with wrong checksums that were dropped. */
  dropped = 0
  /** Packets with wrong checksums that were taken, since their senders leave checksums to hardware. */
  taken = 0
  readonly #senders = new Map<string, Sender>()
  /** Sender of all addresses beyond {@link MAX_SENDERS}. */
  readonly #rest = new Sender()
  readonly #take: TakePacket
  /** Packets with wrong checksums whose senders are not known yet, the oldest first. */
  #held: { readonly sender: Sender; readonly packet: HeldPacket }[] = []

  /** @param take gets packets that are good in spite of their checksums. */
  constructor(take: TakePacket) {
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

  /** Notes a packet with right checksums. The held packets of its sender are damaged. */
  sawRight(sender: Sender, skb: AnySkb, layout: FrameLayout): void {
    sender.hasRight = true
    if (!sender.rightLong) {
      const bytes = layout.headerLength + layout.payloadLength / skb.segments
      sender.rightLong = bytes > LONGEST_FRAME
    }
    if (sender.held === 0) return
    for (const [held] of this.#release(sender)) this.#drop(held)
  }

  /** Takes over a packet with a wrong checksum: takes it, drops it, or holds it until its sender is known. */
  sawWrong(skb: AnySkb, layout: FrameLayout, key: FlowKey): void {
    const sender = this.senderOf(key)
    const isLong = layout.headerLength + layout.payloadLength > LONGEST_FRAME
    if ((isLong && !sender.rightLong) || (sender.offloads && !sender.hasRight)) {
      this.#takeAll([[skb, layout, key]])
    } else if (sender.hasRight) this.#drop(skb)
    // The caller's layout and key are those of the next packet later.
    else this.#hold(sender, [skb, Object.assign(new FrameLayout(), layout), key.copy()])
  }

  /** Takes all held packets, since no evidence shows that they are damaged. */
  settle(): void {
    for (const { sender } of this.#held) this.#takeHeld(sender)
  }

  /** Frees all held packets. */
  abandon(): void {
    for (const { packet } of this.#held.splice(0)) packet[0].free()
  }

  #drop(skb: AnySkb): void {
    this.dropped++
    skb.free()
  }

  #hold(sender: Sender, packet: HeldPacket): void {
    this.#held.push({ sender, packet })
    sender.held++
    if (sender.held >= SENDER_HELD) this.#takeHeld(sender)
    const [oldest] = this.#held
    if (oldest !== undefined && this.#held.length > MAX_HELD) this.#takeHeld(oldest.sender)
  }

  #takeHeld(sender: Sender): void {
    sender.offloads = true
    this.#takeAll(this.#release(sender))
  }

  #takeAll(packets: readonly HeldPacket[]): void {
    for (const packet of packets) {
      this.taken++
      this.#take(...packet)
    }
  }

  #release(sender: Sender): HeldPacket[] {
    const released = this.#held.filter((held) => held.sender === sender)
    this.#held = this.#held.filter((held) => held.sender !== sender)
    sender.held = 0
    return released.map(({ packet }) => packet)
  }
}
