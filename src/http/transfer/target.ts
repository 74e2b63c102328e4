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
  /**
   * True if it takes bytes at any place, several ranges at once, and can drop them. Otherwise bytes are
   * handed out in their order, and cannot be taken back.
   */
  readonly seekable: boolean
  /**
   * Takes a whole body within the read that brings it. Returns false if {@link open} and {@link receive}
   * have to take it. Absent if they take every body.
   */
  takeWhole?(body: Uint8Array): boolean
  /**
   * Looks once for the bytes of an earlier transfer. Absent if the target keeps no bytes. Resolves with
   * `undefined` if there are none.
   */
  claim?(): Promise<Claim | undefined>
  /** Begins a body of which `head` is the first, and drops the bytes of an earlier attempt. */
  open(head: ResponseHead, entity: Entity): Promise<void>
  /** Takes all of `body`, which belongs at byte `at` and after it. */
  receive(body: Body, at: number, arrived: Arrived): Promise<void>
  /** Notes that all bytes before `position` have arrived. Absent if the target need not know. */
  reached?(position: number): void
  /**
   * Returns the digest of the complete body of `bytes` bytes, or `undefined` if the options ask for no
   * digest.
   */
  digest(bytes: number): Promise<string | undefined>
  /** Keeps the body, which is complete and the right one. Absent if there is nothing to do. */
  commit?(): Promise<void>
  /** Ends a failed transfer. A later transfer may use the first `bytes` bytes. */
  fail(bytes: number): Promise<void>
}

/** Notes that the bytes of one call of `receive` have arrived for good up to byte `position`. */
export type Arrived = (position: number) => void

/** Bytes of a body that a destination has before the transfer begins. */
export interface Claim {
  readonly entity: Entity
  /** Bytes of the body, from its first one on. */
  readonly bytes: number
  /** True for a file at the destination, which may be all of `entity`. */
  readonly isPresent: boolean
}
