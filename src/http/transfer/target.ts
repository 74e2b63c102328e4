/** Destinations of bodies as a transfer sees them. Each says by its members what it can do. */

import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { Body } from '../client/body.ts'
import type { ResponseHead } from '../client/response-head.ts'
import type { Entity } from './entity.ts'

/** A destination that can be filled in several attempts. */
export interface Target {
  /** Pool that connections receive into on its behalf. */
  readonly pool: PagePool<Page>
  /** True if it holds frags of {@link pool} while more of the body arrives. */
  readonly holdsFrags: boolean
  /** Takes ranges in any order. Absent if the target takes bytes in order only. */
  readonly ranges?: RangeTarget | undefined
  /**
   * Takes a whole body within the read that brings it. Returns false if {@link open} and {@link receive}
   * have to take it. Absent if they take every body.
   */
  readonly takeWhole?: ((body: Uint8Array) => boolean) | undefined
  /** Bytes that have arrived for good, and the place of the next one. */
  readonly position: number
  /** True if the target can drop the bytes that arrived. It cannot drop bytes that were handed out. */
  readonly canRestart: boolean
  /** Looks once for the bytes of an earlier transfer. Absent if the target keeps no bytes. */
  claim?(): Promise<Claim>
  /** Begins a body of which `head` is the first. */
  open(head: ResponseHead, entity: Entity): Promise<void>
  /** Takes all of `body`, which continues at {@link position}. */
  receive(body: Body): Promise<void>
  /** Drops the bytes that arrived. Called only if {@link canRestart} is true. */
  restart(): Promise<void>
  /** Returns the digest of the complete body, or `undefined` if the options ask for no digest. */
  digest(): Promise<string | undefined>
  /** Keeps the body, which is complete and the right one. Absent if there is nothing to do. */
  commit?(): Promise<void>
  /** Ends a failed transfer. `keep` is true if a later transfer may use the bytes that arrived. */
  fail(keep: boolean): Promise<void>
}

/** Receives ranges of one body in any order. */
export interface RangeTarget {
  /**
   * Takes all `length` bytes of `body`, which belong at byte `at` and after it. Reports to `onBytes` how
   * many have arrived.
   */
  receiveAt(body: Body, at: number, length: number, onBytes: (bytes: number) => void): Promise<void>
  /** Notes that all bytes before `position` have arrived. */
  reached(position: number): void
}

/** Bytes of a body that a destination has before the transfer begins. */
export type Claim =
  | { readonly kind: 'nothing' }
  /** The first bytes of `entity`, as far as {@link Target.position}. */
  | { readonly kind: 'part'; readonly entity: Entity }
  /** A file that may be all of `entity`. */
  | { readonly kind: 'present'; readonly entity: Entity }
