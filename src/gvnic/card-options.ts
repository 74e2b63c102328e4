/** Options that all cards have, and their checks. */

import { checkInteger, checkString } from '../errors.ts'
import { checkFraction } from '../stack/link/fate.ts'
import type { OnFault } from './card-thread.ts'
import { DEFAULT_QUEUES, MAX_MTU, MAX_QUEUES, MIN_MTU } from './gvnic.ts'
import type { CardThreadData } from './thread/messages.ts'

/** Options of cards in a thread of their own. */
export interface CardServerOptions {
  /** Queues of each card, each way: 1 to 16. 4 by default. */
  readonly queues?: number
  /**
   * MTU that the guests' interfaces start with, and the largest they take: 68 to 9000. Default: the MTU
   * of the TAP interface, 9000 at most, or 1500.
   */
  readonly mtu?: number
  /** Part of the frames that are lost each way: 0 to 1. 0 by default. */
  readonly loss?: number
  /** Seed of the losses: 0 to 2^32 − 1. 0 by default. */
  readonly seed?: number
  /**
   * Path of a pcapng file for the frames that the first card sends and receives. None by default. An
   * older file is replaced. While it is written, sent frames are copied once more.
   */
  readonly capture?: string
  /**
   * Called with the reason when a machine cannot have a card or has to wait for it, and when the link of
   * a card has failed.
   */
  readonly onFault?: OnFault
}

/** Returns the options that the cards' thread gets. */
export function checkCards({
  queues = DEFAULT_QUEUES,
  mtu,
  loss,
  seed = 0,
  capture,
}: CardServerOptions): Omit<CardThreadData, 'wake' | 'sockets' | 'link'> {
  const part = checkFraction('loss', loss)
  const checkedSeed = checkInteger('seed', seed, 0, 2 ** 32 - 1)
  if (capture !== undefined) checkString('capture', capture, 'the path of a file')
  return {
    queues: checkInteger('queues', queues, 1, MAX_QUEUES),
    mtu: mtu === undefined ? undefined : checkInteger('mtu', mtu, MIN_MTU, MAX_MTU),
    faults: part > 0 ? { seed: checkedSeed, loss: part } : undefined,
    capture,
  }
}
