/** Plans of a transfer: its next request, by what it has of the body. */

import type { HeaderFields } from '../client/request.ts'
import type { Entity } from './entity.ts'
import { FIRST_PIECE_BYTES } from './range-schedule.ts'

/** A request of a transfer, and what the transfer has of the body. */
export type Plan = WholePlan | RestPlan | PiecePlan

/** No byte has arrived. The request asks for the whole body, or if `ranged` for its first bytes. */
interface WholePlan {
  readonly kind: 'whole'
  readonly ranged: boolean
}

/**
 * The transfer has `from` bytes of `entity`. It asked for the rest, or unless `ranged` for the whole. For
 * `present` these bytes are the destination's file, which may be the whole body.
 */
export interface RestPlan {
  readonly kind: 'rest' | 'present'
  readonly ranged: boolean
  readonly from: number
  readonly entity: Entity
  /** True if the transfer can drop what it has. */
  readonly canRestart: boolean
}

/** One of several ranges: the transfer asked for bytes `from` to `to` of `entity`. */
export interface PiecePlan {
  readonly kind: 'piece'
  readonly ranged: true
  readonly from: number
  readonly to: number
  readonly entity: Entity & { readonly length: number }
}

/** Fields that ask for the whole body: none. */
export const WHOLE_BODY: HeaderFields = []

/** Returns the fields by which the request of `plan` asks for its bytes. */
export function fieldsOf(plan: Plan): HeaderFields {
  if (!plan.ranged) return WHOLE_BODY
  if (plan.kind === 'whole') return [['Range', `bytes=0-${FIRST_PIECE_BYTES - 1}`]]
  const last = plan.kind === 'piece' ? plan.to - 1 : ''
  const range = ['Range', `bytes=${plan.from}-${last}`] as const
  const { validator } = plan.entity
  return validator === undefined ? [range] : [range, ['If-Range', validator]]
}
