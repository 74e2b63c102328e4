/** States, options and counters of a {@link Reassembler}. */

import type { OptionNames } from '../../../errors.ts'

/**
 * State of a stream: `idle` until its first byte is known, `finished` once all bytes before its FIN are
 * there, `reset` by a RST at the next byte.
 */
export type StreamState = 'idle' | 'open' | 'finished' | 'reset' | 'closed'

/** Options of a {@link Reassembler}. */
export interface ReassemblerOptions {
  /** Largest number of payload bytes that wait: 0 to 2^40. Default 4 MiB. */
  readonly queueBytes?: number
  /** Largest number of skbs that wait, each of which holds a page or more: 0 to 2^20. Default 1024. */
  readonly queueSkbs?: number
  /**
   * Action when these limits are reached. Default `drop`: drops the new skb, since a retransmission
   * follows. `skip` gives up the gap instead: a capture that missed a packet has no retransmission.
   */
  readonly whenFull?: 'drop' | 'skip'
  /**
   * True if data waits for the SYN, while the queue has room and until `start` is called. For
   * captures, in which the first segments may be out of order. Default false: a stream begins with the
   * first data.
   */
  readonly awaitSyn?: boolean
}

/** Counters of a {@link Reassembler}. */
export interface ReassemblerStats {
  /** Payload bytes handed to the sink. */
  readonly bytes: number
  /** Skbs that came out of order. */
  readonly out_of_order: number
  /** Bytes that came again: retransmitted or overlapping. */
  readonly duplicate_bytes: number
  /** Skbs that the queue had no room for. */
  readonly dropped: number
  /** Bytes of those skbs. */
  readonly dropped_bytes: number
  /** Skbs too far ahead to be of this stream. */
  readonly out_of_window: number
  /** Bytes behind the stream's end. */
  readonly after_end_bytes: number
  /** Gaps that were given up. */
  readonly gaps: number
  /** Bytes of those gaps. */
  readonly gap_bytes: number
}

/** @internal */
export const REASSEMBLER_OPTIONS: OptionNames<ReassemblerOptions> = {
  queueBytes: true,
  queueSkbs: true,
  whenFull: true,
  awaitSyn: true,
}
