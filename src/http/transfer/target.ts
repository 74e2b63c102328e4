/** Where a body goes, as the transfer sees it, whatever it is. */

import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { Body } from '../client/body.ts'
import type { ResponseHead } from '../client/response-head.ts'
import type { Entity } from './entity.ts'

/** A destination that can be filled in several attempts. */
export interface Target {
  /** What connections receive into on its behalf. */
  readonly pool: PagePool<Page>
  /** The bytes that have arrived for good: the next one belongs there. */
  readonly position: number
  /** A body begins of which this is the first head. */
  open(head: ResponseHead, entity: Entity): Promise<void>
  /** Takes all of `body`, which goes on at {@link position}. */
  receive(body: Body): Promise<void>
  /** Forgets what arrived; false where that has been handed out. */
  restart(): Promise<boolean>
  /** The body is complete: its digest, where one was asked for. */
  digest(): Promise<string | undefined>
  /** The body is the right one. */
  commit(): Promise<void>
  /** The transfer failed; `keep` says whether what arrived may be of use to another one. */
  fail(keep: boolean): Promise<void>
}

/** A target that ranges can be received into in any order. */
export interface RangeTarget extends Target {
  /** Whether it really is one, which a file need not be. */
  readonly seekable: boolean
  /** Takes all `length` bytes of `body`, the first of which belongs at `at`; `onBytes` is told how many have arrived. */
  receiveAt(body: Body, at: number, length: number, onBytes: (bytes: number) => void): Promise<void>
  /** All bytes before `position` have arrived. */
  reached(position: number): void
}
