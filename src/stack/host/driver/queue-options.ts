/** Options of a driver's queues, and the skbs that a driver makes: the place where it says which memory it handles. */

import { ArgumentTypeError, type OptionNames, ownOptions } from '../../../errors.ts'
import type { Netmem, Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import type { AnySkb } from '../skb/skb.ts'

/** Options of the queues of a driver. */
export interface QueueOptions {
  /** Pages for header buffers, shared between threads: one pool for all queues. */
  readonly headerPool: PagePool<Page>
  /** Entries of each queue's rings: a power of two. Default 256. */
  readonly ringSize?: number
  /** Bytes of each posted buffer: a power of two, at most a page of the payload pool, which is the default. */
  readonly bufferBytes?: number
  /** Bytes of each header buffer. Default 256. */
  readonly headerBytes?: number
  /** Placement of headers. Default `headers`: in a separate buffer. */
  readonly split?: RxQueueConfig['split']
  /** Frames of at most this many bytes stay in the header buffer. Default 0. */
  readonly splitThresholdBytes?: number
  /** True if the NIC makes one packet of consecutive segments. Default false. */
  readonly coalesce?: boolean
  /** Entries of the transmit ring, which is made at the first `transmit()`: a power of two, 32 to 65536. Default 256. */
  readonly txRingSize?: number
}

/** Options of a driver of memory `M`, which delivers skbs `S`. */
export interface DriverOptions<in out M extends Netmem, in S extends AnySkb> extends QueueOptions {
  /** Payload pool of each queue, from queue 0 on. */
  readonly pools: readonly PagePool<M>[]
  /** Called with every packet, which it frees. */
  readonly deliver: (skb: S) => void
}

/** Functions that make skbs of one pool's memory. */
export interface SkbMaker<in out M extends Netmem, S extends AnySkb> {
  /** Returns an empty skb for memory like `m`, or for linear bytes alone without it. */
  readonly begin: (m: M | undefined) => S
  /** Adds a frag and takes over its reference. Returns false if the skb has no place for it. */
  readonly add: (skb: S, m: M, offset: number, length: number) => boolean
}

const DEFAULTS = {
  ringSize: 256,
  headerBytes: 256,
  split: 'headers',
  splitThresholdBytes: 0,
  coalesce: false,
  txRingSize: 256,
} as const

const NAMES: OptionNames<DriverOptions<Netmem, AnySkb>> = {
  headerPool: true,
  ringSize: true,
  bufferBytes: true,
  headerBytes: true,
  split: true,
  splitThresholdBytes: true,
  coalesce: true,
  txRingSize: true,
  pools: true,
  deliver: true,
}

/** Options with their defaults. */
export type CheckedOptions<M extends Netmem, S extends AnySkb> = DriverOptions<M, S> &
  Required<Pick<QueueOptions, keyof typeof DEFAULTS>>

/** Checks the names of options and `deliver`, and adds defaults. Throws NETMEM_INVALID_ARGUMENT. */
export function driverOptions<M extends Netmem, S extends AnySkb>(
  call: string,
  options: DriverOptions<M, S>,
): CheckedOptions<M, S> {
  const given = ownOptions<DriverOptions<M, S>>(call, options, NAMES)
  if (typeof given.deliver !== 'function') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${call} needs deliver, a function that gets each packet.`,
    )
  }
  return { ...DEFAULTS, ...given }
}
