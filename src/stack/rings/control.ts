/**
 * Requests of the stack's thread to the device's: one reply each. All of it is plain data that can
 * be cloned. Bytes of device memory cross only in the reply to `dmabuf-read`.
 */

import type { DmaSegment } from '../../providers/dma-address.ts'
import type { LinkFrame } from '../link/link.ts'
import type { LinkSpec, ReadFile, TapReport } from '../link/link-spec.ts'
import type { DeviceFailure } from './device-failure.ts'
import type { RxRingFaults } from './faulty-rx-ring.ts'
import type { NicFeatures, NicSettings, RxQueueConfig, SteeringRule } from './nic-types.ts'
import type { RxRings } from './shared-rings.ts'
import type { TxRing } from './shared-tx-rings.ts'

/** Part of a memory to export. */
export interface ExportOptions {
  /** Bytes of the dma-buf: 1 to the free bytes of the memory. */
  readonly bytes: number
  /**
   * Bytes of each of its 1 to 65,536 segments, which lie scattered over the memory. A single
   * segment by default.
   *
   * Segments need not be whole pages, but the provider refuses those that are not.
   */
  readonly segments?: readonly number[]
}

/** Call with a request of `Request`, besides `kind`, and a reply of `Reply`. */
interface Call<Request, Reply = undefined> {
  readonly request: Request
  readonly reply: Reply
}

interface OfNic {
  readonly nic: number
}

/** All calls by kind. Memories, dma-bufs, attachments, hashes and regions are called by number. */
interface ControlCalls {
  /** Replies as soon as the device runs. */
  hello: Call<unknown>
  'memory-create': Call<{ readonly bytes: number }, number>
  'memory-free': Call<{ readonly memory: number }>
  'dmabuf-export': Call<{ readonly memory: number } & ExportOptions, number>
  'dmabuf-close': Call<{ readonly dmabuf: number }>
  'dmabuf-attach': Call<
    { readonly dmabuf: number } & OfNic,
    { readonly attachment: number; readonly segments: readonly DmaSegment[] }
  >
  'dmabuf-detach': Call<{ readonly attachment: number }>
  'dmabuf-read': Call<
    { readonly dmabuf: number; readonly offset: number; readonly bytes: number },
    Uint8Array
  >
  'dmabuf-write': Call<{
    readonly dmabuf: number
    readonly offset: number
    readonly data: Uint8Array
  }>
  'hash-open': Call<unknown, number>
  /** `ranges` holds an offset and a length in turn. */
  'hash-update': Call<{
    readonly hash: number
    readonly dmabuf: number
    readonly ranges: Float64Array
  }>
  'hash-bytes': Call<{ readonly hash: number; readonly data: Uint8Array }>
  'hash-digest': Call<{ readonly hash: number }, string>
  'hash-close': Call<{ readonly hash: number }>
  'host-map': Call<{ readonly memory: SharedArrayBuffer }, number>
  'host-unmap': Call<{ readonly region: number }>
  /** The stack chooses the number, so that it can listen to the NIC before there is one. */
  'nic-create': Call<
    OfNic & {
      readonly queues: number
      readonly link: LinkSpec
      readonly settings: NicSettings
      readonly ringFaults?: RxRingFaults
      readonly up: boolean
      /** One word: transmitted frames that the stack has taken. */
      readonly taken: SharedArrayBuffer
    },
    {
      readonly features: NicFeatures
      readonly counters: SharedArrayBuffer
      readonly tap?: TapReport
    }
  >
  'nic-close': Call<OfNic>
  'nic-link': Call<OfNic & { readonly up: boolean }>
  'nic-start-queue': Call<
    OfNic & { readonly queue: number; readonly rings: RxRings; readonly config: RxQueueConfig }
  >
  'nic-stop-queue': Call<OfNic & { readonly queue: number }>
  'nic-start-tx-queue': Call<OfNic & { readonly queue: number; readonly ring: TxRing }>
  'nic-stop-tx-queue': Call<OfNic & { readonly queue: number }>
  'nic-add-rule': Call<OfNic & { readonly rule: SteeringRule }, number>
  'nic-remove-rule': Call<OfNic & { readonly rule: number }>
  /** Sets the table if there is one. Replies with the table in effect. */
  'nic-rss': Call<OfNic & { readonly table?: readonly number[] }, readonly number[]>
  /** Sets the key if there is one. Replies with the key in effect. */
  'nic-rss-key': Call<OfNic & { readonly key?: Uint8Array }, Uint8Array>
  /** Replies with the number of frames that there was room for. */
  'nic-inject': Call<
    OfNic & {
      readonly frames: readonly Uint8Array[]
      readonly atNs?: number
      readonly checksum: LinkFrame['checksum']
    },
    number
  >
  /**
   * Receives the frames that are due by `untilNs`, at most `frames`. Replies with their number.
   */
  run: Call<{ readonly untilNs: number; readonly frames?: number }, number>
  close: Call<unknown>
}

export type ControlKind = keyof ControlCalls

/** A request: a union by `kind`. */
export type ControlRequest<K extends ControlKind = ControlKind> = {
  readonly [P in K]: { readonly kind: P } & ControlCalls[P]['request']
}[K]

/** Reply to a request of kind `K`. */
export type ControlReply<K extends ControlKind = ControlKind> = ControlCalls[K]['reply']

/** Handlers of requests of each kind. */
export type ControlHandlers<K extends ControlKind = ControlKind> = {
  readonly [P in K]: (request: ControlRequest<P>) => ControlReply<P>
}

/** A request on its way to the device. */
export interface RequestMessage<K extends ControlKind = ControlKind> {
  readonly id: number
  readonly request: ControlRequest<K>
}

/** Event at a NIC that no request asked for. */
export type NicEvent =
  | { readonly kind: 'transmitted'; readonly nic: number; readonly frames: readonly Uint8Array[] }
  /** No frame will arrive any more: the link has ended, or the link or its NIC has failed. */
  | {
      readonly kind: 'ended'
      readonly nic: number
      readonly failure?: DeviceFailure
      /** Result of reading the link's file, if it has one. */
      readonly file?: ReadFile
    }

/** Messages of the device's thread. */
export type DeviceMessage =
  | { readonly kind: 'reply'; readonly id: number; readonly reply: ControlReply }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: DeviceFailure }
  | NicEvent
  /** The thread ends because of this failure, after its last message. */
  | { readonly kind: 'died'; readonly failure: DeviceFailure }

/** Data that the device's thread is started with. */
export interface DeviceThreadData {
  /** Rung after every request, and by every driver. */
  readonly doorbell: SharedArrayBuffer
  /** True if only `run` advances its clock. */
  readonly stepped: boolean
}
