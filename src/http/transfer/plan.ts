/** Plans of a transfer: its next request, by what it has of the body. */

import type { Entity } from './entity.ts'
import { FIRST_PIECE_BYTES } from './range-schedule.ts'

/** A request of a transfer, and what the transfer has of the body. */
export type Plan = WholePlan | RestPlan | PresentPlan | PiecePlan

/** No byte has arrived. The request asks for the whole body, or if `ranged` for its first bytes. */
interface WholePlan {
  readonly kind: 'whole'
  readonly ranged: boolean
}

/** The transfer has `from` bytes of `entity`. It asked for the rest, or unless `ranged` for the whole. */
export interface RestPlan {
  readonly kind: 'rest'
  readonly ranged: boolean
  readonly from: number
  readonly entity: Entity
  /** True if the transfer can drop what it has. */
  readonly canRestart: boolean
}

/** The destination's file may be the whole body. The transfer asked for what follows its `from` bytes. */
interface PresentPlan {
  readonly kind: 'present'
  readonly ranged: true
  readonly from: number
  readonly entity: Entity
}

/** One of several ranges: the transfer asked for bytes `from` to `to` of `entity`. */
export interface PiecePlan {
  readonly kind: 'piece'
  readonly ranged: true
  readonly from: number
  readonly to: number
  readonly entity: Entity & { readonly length: number }
}

/** Fields of a request for a range. */
export interface RangeFields {
  readonly range: string | undefined
  readonly ifRange: string | undefined
}

/** Fields of a request for the whole body. */
export const WHOLE_BODY: RangeFields = { range: undefined, ifRange: undefined }

/** Returns the fields of the request that `plan` makes. */
export function fieldsOf(plan: Plan): RangeFields {
  if (!plan.ranged) return WHOLE_BODY
  if (plan.kind === 'whole') return rangeFields(0, FIRST_PIECE_BYTES, undefined)
  const to = plan.kind === 'piece' ? plan.to : undefined
  return rangeFields(plan.from, to, plan.entity)
}

function rangeFields(
  from: number,
  to: number | undefined,
  entity: Entity | undefined,
): RangeFields {
  const last = to === undefined ? '' : to - 1
  return { range: `bytes=${from}-${last}`, ifRange: entity?.validator }
}
