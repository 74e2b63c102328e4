/** States, options and counters of a {@link Reassembler}. */

import type { OptionNames } from '../../../errors.ts'

/** `idle` until it knows where the stream begins; `finished` by FIN, once all before it is there; `reset` by a RST that is the next byte. */
export type StreamState = 'idle' | 'open' | 'finished' | 'reset' | 'closed'

/** How much waits for what is missing, at most. */
export interface ReassemblerOptions {
  /** Payload bytes that arrived out of order: 0 to 2^40, 4 MiB by default. */
  readonly queueBytes?: number
  /** The skbs they are in, each of which holds a page or more: 0 to 2^20, 1024 by default. */
  readonly queueSkbs?: number
  /**
   * What gives way when that is too little: by default what has just come, as a retransmission
   * will follow; with `skip` the gap, since none will where a capture missed a packet.
   */
  readonly whenFull?: 'drop' | 'skip'
  /**
   * Whether data that comes before the SYN waits for it, as far as the queue has room and until
   * `start` is called: for captures, whose first segments may have overtaken each other. Off by
   * default, when a stream begins with the first data seen.
   */
  readonly awaitSyn?: boolean
}

/** What became of what arrived. */
export interface ReassemblerStats {
  /** Payload bytes handed to the sink. */
  readonly bytes: number
  /** Skbs that came before their turn. */
  readonly outOfOrder: number
  /** Bytes that had arrived before: retransmitted or overlapping. */
  readonly duplicateBytes: number
  /** Skbs that the queue had no room for, and their bytes. */
  readonly dropped: number
  readonly droppedBytes: number
  /** Skbs too far ahead to be of this stream. */
  readonly outOfWindow: number
  /** Bytes behind the stream's end. */
  readonly afterEndBytes: number
  /** Gaps given up, and their bytes. */
  readonly gaps: number
  readonly gapBytes: number
}

/** @internal */
export const REASSEMBLER_OPTIONS: OptionNames<ReassemblerOptions> = {
  queueBytes: true,
  queueSkbs: true,
  whenFull: true,
  awaitSyn: true,
}
