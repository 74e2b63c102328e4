/**
 * Calls of the stack's thread to the device's: one reply each. All of it is plain data that can
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

/** Parts that a NIC is made of. */
interface NicParts {
  readonly queues: number
  readonly link: LinkSpec
  readonly settings: NicSettings
  readonly ringFaults: RxRingFaults | undefined
  readonly up: boolean
  /** One word: transmitted frames that the stack has taken. */
  readonly taken: SharedArrayBuffer
}

/** A NIC that was made. */
interface MadeNic {
  readonly features: NicFeatures
  readonly counters: SharedArrayBuffer
  readonly tap: TapReport | undefined
}

/** A dma-buf that was attached. */
interface MadeAttachment {
  readonly attachment: number
  readonly segments: readonly DmaSegment[]
}

/** All calls by name. NICs, memories, dma-bufs, attachments, hashes and regions are numbers. */
interface DeviceCalls {
  /** Returns as soon as the device runs. */
  hello(): void
  'memory-create'(bytes: number): number
  'memory-free'(memory: number): void
  'dmabuf-export'(memory: number, options: ExportOptions): number
  'dmabuf-close'(dmabuf: number): void
  'dmabuf-attach'(dmabuf: number, nic: number): MadeAttachment
  'dmabuf-detach'(attachment: number): void
  'dmabuf-read'(dmabuf: number, offset: number, bytes: number): Uint8Array
  'dmabuf-write'(dmabuf: number, offset: number, data: Uint8Array): void
  'hash-open'(): number
  /** `ranges` holds an offset and a length in turn. */
  'hash-update'(hash: number, dmabuf: number, ranges: Float64Array): void
  'hash-bytes'(hash: number, data: Uint8Array): void
  'hash-digest'(hash: number): string
  'hash-close'(hash: number): void
  'host-map'(memory: SharedArrayBuffer): number
  'host-unmap'(region: number): void
  /** The stack chooses the number, so that it can listen to the NIC before there is one. */
  'nic-create'(nic: number, parts: NicParts): MadeNic
  'nic-close'(nic: number): void
  'nic-link'(nic: number, up: boolean): void
  'nic-start-queue'(nic: number, queue: number, rings: RxRings, config: RxQueueConfig): void
  'nic-stop-queue'(nic: number, queue: number): void
  'nic-start-tx-queue'(nic: number, queue: number, ring: TxRing): void
  'nic-stop-tx-queue'(nic: number, queue: number): void
  'nic-add-rule'(nic: number, rule: SteeringRule): number
  'nic-remove-rule'(nic: number, rule: number): void
  /** Sets the table if there is one. Returns the table in effect. */
  'nic-rss'(nic: number, table?: readonly number[]): readonly number[]
  /** Sets the key if there is one. Returns the key in effect. */
  'nic-rss-key'(nic: number, key?: Uint8Array): Uint8Array
  /** Returns the number of frames that there was room for. Without `atNs` they arrive now. */
  'nic-inject'(
    nic: number,
    frames: readonly Uint8Array[],
    checksum: LinkFrame['checksum'],
    atNs?: number,
  ): number
  /** Receives the frames that are due by `untilNs`, at most `frames`. Returns their number. */
  run(untilNs: number, frames?: number): number
  close(): void
}

export type CallName = keyof DeviceCalls

/** Arguments of the call `K`: plain data. */
export type CallArguments<K extends CallName = CallName> = Parameters<DeviceCalls[K]>

/** Reply to the call `K`: plain data. */
export type CallReply<K extends CallName = CallName> = ReturnType<DeviceCalls[K]>

/** Handlers of calls. */
export type CallHandlers<K extends CallName = CallName> = {
  readonly [P in K]: (...args: CallArguments<P>) => CallReply<P>
}

/** A call on its way to the device. */
export interface CallMessage<K extends CallName = CallName> {
  readonly id: number
  readonly name: K
  readonly args: CallArguments<K>
}

/** Event at a NIC that no call asked for. */
export type NicEvent =
  | { readonly kind: 'transmitted'; readonly nic: number; readonly frames: readonly Uint8Array[] }
  /** No frame will arrive any more: the link has ended, or the link or its NIC has failed. */
  | {
      readonly kind: 'ended'
      readonly nic: number
      readonly failure: DeviceFailure | undefined
      /** Result of reading the link's file, if it has one. */
      readonly file: ReadFile | undefined
    }

/** Messages of the device's thread. */
export type DeviceMessage =
  | { readonly kind: 'reply'; readonly id: number; readonly reply: CallReply }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: DeviceFailure }
  | NicEvent
  /** The thread ends because of this failure, after its last message. */
  | { readonly kind: 'died'; readonly failure: DeviceFailure }

/** Data that the device's thread is started with. */
export interface DeviceThreadData {
  /** Rung after every call, and by every driver. */
  readonly doorbell: SharedArrayBuffer
  /** True if only `run` advances its clock. */
  readonly stepped: boolean
}
