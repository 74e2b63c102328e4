/**
 * Loop of the cards' thread: one poll(2) over the sockets of all machines and an eventfd. It answers
 * machines, gives the cards their turns, and sleeps until one of them has work.
 */

import { type Fd, POLLIN, PollSet, read } from '../../linux/sys/index.ts'
import type { Link } from '../../stack/link/link.ts'
import { type DeviceServer, VfioUserError } from '../../vfio-user/index.ts'
import type { Gvnic } from '../gvnic.ts'

/** Ms of a sleep at most: the statistics that guests read are not older. */
const MAX_SLEEP_MS = 250

/** A card, its link, and the server that machines connect to. */
export interface ServedCard {
  readonly card: Gvnic
  readonly link: Link
  readonly server: DeviceServer
}

/** Events of the loop. */
export interface CardLoopEvents {
  /** The eventfd was written: there are messages. Returns false to end the loop. */
  wake(): boolean
  /** A machine could not have a card. */
  refused(card: ServedCard, error: VfioUserError): void
}

/** Runs until `events.wake()` returns false. */
export function runCards(cards: readonly ServedCard[], wake: Fd, events: CardLoopEvents): void {
  const polls = new PollSet(cards.length + 1)
  const count = new Uint8Array(8)
  polls.set(cards.length, wake, POLLIN)
  const beganMs = performance.now()
  let isBusy = false
  for (;;) {
    for (const [index, { server }] of cards.entries()) polls.set(index, server.fd, server.events)
    const nowNs = (performance.now() - beganMs) * 1e6
    polls.wait(isBusy ? 0 : sleepMs(cards, nowNs))
    if (polls.events(cards.length) !== 0) {
      read(wake, count)
      if (!events.wake()) return
    }
    for (const [index, served] of cards.entries()) {
      if (polls.events(index) !== 0) answer(served, events)
    }
    isBusy = false
    const laterNs = (performance.now() - beganMs) * 1e6
    for (const { card } of cards) if (card.poll(laterNs) > 0) isBusy = true
  }
}

function answer(served: ServedCard, events: CardLoopEvents): void {
  try {
    served.server.step()
  } catch (error) {
    if (!(error instanceof VfioUserError)) throw error
    events.refused(served, error)
  }
}

/** Returns the ms until the next frame of a link is due, rounded up. */
function sleepMs(cards: readonly ServedCard[], nowNs: number): number {
  let sleepNs = MAX_SLEEP_MS * 1e6
  for (const { card, link } of cards) {
    // A card without queues leaves its frames on the link.
    if (card.receives) sleepNs = Math.min(sleepNs, Math.max(link.nextAtNs() - nowNs, 0))
  }
  return Math.ceil(sleepNs / 1e6)
}
