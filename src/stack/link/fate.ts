/** Random fates of frames, and the options that they are drawn by. */

import { checkInteger, checkNumber, type OptionNames } from '../../errors.ts'
import { Random } from '../../random.ts'
import type { LinkFrame } from './link.ts'

/** Faults of a link. Each part is 0 to 1, and 0 by default. */
export interface FaultOptions {
  /** 0 to 2^32 − 1. The same seed draws the same fates. */
  readonly seed: number
  /** Part of the frames that are lost. */
  readonly loss?: number
  /** Part of the frames that arrive twice. */
  readonly duplication?: number
  /** Part of the frames that one to three later frames overtake, or that wait for {@link reorderingNs}. */
  readonly reordering?: number
  /** Part of the frames with one bit flipped, anywhere in the frame. */
  readonly corruption?: number
  /** Delay of every frame in ns, 0 to 10^12. 0 by default. */
  readonly delayNs?: number
  /**
   * Limit of a further delay of each frame, drawn evenly. It reorders frames, too. 0 by default.
   */
  readonly jitterNs?: number
  /** Limit of the time that a reordered frame waits for others, in ns. 1 ms by default. */
  readonly reorderingNs?: number
  /** Bits per second. Unlimited by default. */
  readonly rateBitsPerS?: number
  /**
   * Bytes of frames held at most, 1 MiB to 2^30. 4 MiB by default.
   *
   * While half of them are used no more frames are taken from the link, so that its own queue
   * fills.
   */
  readonly holdBytes?: number
}

/** @internal */
export const FAULT_OPTIONS: OptionNames<FaultOptions> = {
  seed: true,
  loss: true,
  duplication: true,
  reordering: true,
  corruption: true,
  delayNs: true,
  jitterNs: true,
  reorderingNs: true,
  rateBitsPerS: true,
  holdBytes: true,
}

/** Draws the fate of one frame after another. */
export class Fate {
  lost = false
  duplicated = false
  reordered = false
  corrupted = false
  jitterNs = 0
  /** The bit that is flipped in a corrupted frame. */
  bit = 0
  /** Frames that overtake a reordered one: 1 to 3. */
  overtaking = 0
  readonly #random: Random
  readonly #odds: Readonly<Record<'loss' | 'duplication' | 'reordering' | 'corruption', number>>
  readonly #jitterNs: number

  /** @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range. */
  constructor(options: FaultOptions) {
    this.#random = new Random(checkInteger('seed', options.seed, 0, 2 ** 32 - 1))
    this.#odds = {
      loss: checkFraction('loss', options.loss),
      duplication: checkFraction('duplication', options.duplication),
      reordering: checkFraction('reordering', options.reordering),
      corruption: checkFraction('corruption', options.corruption),
    }
    this.#jitterNs = checkInteger('jitterNs', options.jitterNs ?? 0, 0, 1e12)
  }

  /** Draws as many numbers for each frame, so that one option does not change what another does. */
  draw(frame: LinkFrame): void {
    const random = this.#random
    const odds = this.#odds
    this.lost = random.fraction() < odds.loss
    this.duplicated = random.fraction() < odds.duplication
    this.reordered = random.fraction() < odds.reordering
    this.corrupted = random.fraction() < odds.corruption && frame.length > 0
    this.jitterNs = Math.floor(random.fraction() * (this.#jitterNs + 1))
    this.bit = random.next()
    this.overtaking = 1 + (random.next() % 3)
  }
}

/**
 * Checks an option that is a part of the frames.
 *
 * @returns the option, 0 if it is left out.
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE unless it is 0 to 1.
 */
export function checkFraction(name: string, value: unknown = 0): number {
  return checkNumber(name, value, 0, 1)
}
