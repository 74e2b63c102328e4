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
  /** Takes ranges in any order. `undefined` if the target takes bytes in order only. */
  readonly ranges: RangeTarget | undefined
  /**
   * Takes a whole body within the read that brings it, and returns false where {@link open} and
   * {@link receive} have something to say. `undefined` where every body goes through those.
   */
  readonly takeWhole: ((body: Uint8Array) => boolean) | undefined
  /** Bytes that have arrived for good: the next one belongs there. */
  readonly position: number
  /** True if it can forget what arrived, which it cannot once that has been handed out. */
  readonly canRestart: boolean
  /** Looks once for the bytes of an earlier transfer. `undefined` if the target keeps no bytes. */
  readonly claim: (() => Promise<Claim>) | undefined
  /** Begins a body of which `head` is the first. */
  open(head: ResponseHead, entity: Entity): Promise<void>
  /** Takes all of `body`, which continues at {@link position}. */
  receive(body: Body): Promise<void>
  /** Forgets what arrived. Called only where {@link canRestart} is true. */
  restart(): Promise<void>
  /** Returns the digest of the complete body, or `undefined` if the options ask for no digest. */
  digest(): Promise<string | undefined>
  /** Keeps the body, which is complete and the right one. */
  commit(): Promise<void>
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
