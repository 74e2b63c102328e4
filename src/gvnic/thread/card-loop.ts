/**
 * Loop of the cards' thread: one poll(2) over the sockets of all machines, the descriptors of links, and
 * an eventfd. It answers machines, gives the cards their turns, and sleeps until one of them has work.
 */

import { type Fd, POLLIN, PollSet, read } from '../../linux/sys/index.ts'
import { DeviceError } from '../../stack/device-error.ts'
import type { Link } from '../../stack/link/link.ts'
import { type DeviceServer, VfioUserError } from '../../vfio-user/index.ts'
import type { Gvnic } from '../gvnic.ts'

/** Ms of a sleep at most: the statistics that guests read are not older. */
const MAX_SLEEP_MS = 250

/** A card, its link, and the server that machines connect to, as the loop needs them. */
export interface ServedCard {
  readonly card: Pick<Gvnic, 'poll' | 'linkUp' | 'receives' | 'paused'>
  readonly link: Pick<Link, 'nextAtNs' | 'descriptors'>
  readonly server: Pick<DeviceServer, 'fd' | 'events' | 'step'>
}

/** Events of the loop. */
interface CardLoopEvents<Card extends ServedCard> {
  /** The eventfd was written: there are messages. Returns false to end the loop. */
  wake(): boolean
  /** A machine could not have a card, or has to wait for it, or the link of a card has failed and is down. */
  fault(card: Card, error: VfioUserError | DeviceError): void
}

/** Runs until `events.wake()` returns false. */
export function runCards<Card extends ServedCard>(
  cards: readonly Card[],
  wake: Fd,
  events: CardLoopEvents<Card>,
): void {
  const polls = new CardPolls(cards, wake)
  const count = new Uint8Array(8)
  const beganMs = performance.now()
  let isBusy = false
  for (;;) {
    polls.wait(isBusy ? 0 : sleepMs(cards, (performance.now() - beganMs) * 1e6))
    if (polls.woken) {
      read(wake, count)
      if (!events.wake()) return
    }
    // Counts an index: iterators would be garbage of each turn, and its collection delays answers.
    for (let at = 0; at < cards.length; at++) {
      const served = cards[at]
      if (served !== undefined && polls.asks(at)) answer(served, events)
    }
    isBusy = false
    const nowNs = (performance.now() - beganMs) * 1e6
    for (let at = 0; at < cards.length; at++) {
      const served = cards[at]
      if (served !== undefined && turn(served, nowNs, events) > 0) isBusy = true
    }
  }
}

/** Descriptors of the loop: the eventfd, the machines' sockets, and the links' descriptors. */
class CardPolls {
  readonly #cards: readonly ServedCard[]
  readonly #set: PollSet
  /** Place of the first descriptor of a link. */
  readonly #linksAt: number
  readonly #places: number

  constructor(cards: readonly ServedCard[], wake: Fd) {
    this.#cards = cards
    this.#linksAt = 1 + cards.length
    // A link has no more descriptors than it begins with.
    const ofLinks = cards.reduce((sum, { link }) => sum + (link.descriptors?.length ?? 0), 0)
    this.#places = this.#linksAt + ofLinks
    this.#set = new PollSet(this.#places)
    this.#set.set(0, wake, POLLIN)
  }

  /** True if the eventfd was written. */
  get woken(): boolean {
    return this.#set.events(0) !== 0
  }

  /** True if the machine of a card asks something. */
  asks(card: number): boolean {
    return this.#set.events(1 + card) !== 0
  }

  wait(timeoutMs: number): void {
    const set = this.#set
    let place = this.#linksAt
    for (let at = 0; at < this.#cards.length; at++) {
      const served = this.#cards[at]
      if (served === undefined) continue
      set.set(1 + at, served.server.fd, served.server.events)
      const { descriptors } = served.link
      if (descriptors === undefined) continue
      for (const fd of descriptors) set.set(place++, fd, POLLIN)
    }
    while (place < this.#places) set.clear(place++)
    set.wait(timeoutMs)
  }
}

function answer<Card extends ServedCard>(served: Card, events: CardLoopEvents<Card>): void {
  try {
    served.server.step()
  } catch (error) {
    if (!(error instanceof VfioUserError)) throw error
    events.fault(served, error)
  }
}

/** Gives a card its turn. Returns the number of frames. */
function turn<Card extends ServedCard>(
  served: Card,
  nowNs: number,
  events: CardLoopEvents<Card>,
): number {
  const { card } = served
  try {
    return card.poll(nowNs)
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error
    card.linkUp = false
    events.fault(served, error)
    return 0
  }
}

/** Returns the ms until the next frame that a card can receive is due, rounded up: 250 at the most. */
export function sleepMs(
  cards: readonly Pick<ServedCard, 'card' | 'link'>[],
  nowNs: number,
): number {
  let sleepNs = MAX_SLEEP_MS * 1e6
  for (const { card, link } of cards) {
    // Frames that wait for queues or buffers need a doorbell of their machine first.
    if (card.receives && !card.paused)
      sleepNs = Math.min(sleepNs, Math.max(link.nextAtNs() - nowNs, 0))
  }
  return Math.ceil(sleepNs / 1e6)
}
