/**
 * Classification of responses. Pure functions of a response's head and of the request. `transfer.ts` and
 * `range-fetch.ts` act on what it returns.
 */

import { codingError } from '../client/content-coding.ts'
import { excerpt } from '../client/field-line.ts'
import { unsatisfiedLength } from './content-range.ts'
import { type Entity, entityOf, isOtherEntity, isSameEntity } from './entity.ts'
import { type Answer, type Part, partOf, whyNotJoined } from './part.ts'
import type { PiecePlan, Plan, RestPlan } from './plan.ts'
import { rangeError } from './range-error.ts'
import { isTransient, statusError } from './status-error.ts'

/** The meaning of a response, by what the transfer has to do. */
export type Meaning =
  /** Drop what there is, and take `part` as the first bytes of `entity`. */
  | { readonly kind: 'begin'; readonly part: Part; readonly entity: Entity }
  /** Take `part` from byte `from` on. */
  | {
      readonly kind: 'continue'
      readonly part: Part
      readonly entity: Entity
      readonly from: number
    }
  /** The bytes that are there are all of the body. */
  | { readonly kind: 'complete'; readonly length: number }
  /** The file that is there is not the body: ask for the whole. */
  | { readonly kind: 'discard' }
  /** The body has changed since the last response. `how` is a clause that says so. */
  | { readonly kind: 'changed'; readonly how: string }
  | Failure

/** Outcome of one attempt. `more` means that the rest has to be asked for. */
export type Outcome = Meaning | { readonly kind: 'complete' | 'more' }

/**
 * A failed attempt: `retry` if another attempt may succeed, `unranged` if one that asks for the whole
 * body may, since the server's ranges are of no use.
 */
export interface Failure {
  readonly kind: 'retry' | 'fail' | 'unranged'
  readonly error: unknown
}

/** Limit of unwanted bytes in front of a piece. Caches answer from the start of a block. */
const MOST_DROPPED_BYTES = 1024 * 1024

/** Classifies a response to the request of `plan`. `raw` takes coded bodies as they are. */
export function classify(answer: Answer, plan: Plan, raw: boolean): Meaning {
  const { head } = answer
  if (head.status === 416 && plan.ranged) return answerWithoutBytes(answer, plan)
  if (head.status === 206 && plan.kind === 'present') return { kind: 'discard' }
  const failure = failureOf(answer, raw)
  if (failure !== undefined) return failure
  const hasBytes = plan.kind === 'rest' || plan.kind === 'piece'
  if (hasBytes && isOtherEntity(head, plan.entity)) {
    return changed('the server sends another version')
  }
  const part = partOf(answer, raw)
  if (typeof part === 'string') return contradiction(answer, plan, part)
  if (plan.kind === 'rest') return answerToRest(answer, plan, part)
  if (plan.kind === 'piece') return answerToPiece(answer, plan, part)
  return beginning(answer, plan, part)
}

/** Begins a body with `part`, if that is its first bytes and the rest can be had. */
function beginning(answer: Answer, plan: Plan, part: Part): Meaning {
  const { head } = answer
  const gap = head.status === 206 ? whyNotJoined(part, 0, undefined) : undefined
  if (gap !== undefined) return contradiction(answer, plan, gap)
  const entity = entityOf(head, part.total)
  const isWhole = part.end === undefined || part.end === part.total
  if (!isWhole && entity.validator === undefined) {
    const what = 'sent a part, and nothing to tell whether the rest is of the same body'
    return contradiction(answer, plan, what)
  }
  return { kind: 'begin', part, entity }
}

function answerToRest(answer: Answer, plan: RestPlan, part: Part): Meaning {
  const { from, entity } = plan
  const length = entity.length ?? part.total
  if (answer.head.status === 206) {
    const gap = whyNotJoined(part, from, entity.length)
    if (gap !== undefined) return contradiction(answer, plan, gap)
    return { kind: 'continue', part, entity: { ...entity, length }, from }
  }
  // The server has no ranges after all, and sends the whole body again.
  if ((part.total ?? length) !== length) return changed(`it has ${part.total} bytes now`)
  if (plan.canRestart) return beginning(answer, plan, part)
  if (isSameEntity(answer.head, entity)) return { kind: 'continue', part, entity, from }
  return changed('nothing says that what the server sends now is of the same version')
}

function answerToPiece(answer: Answer, plan: PiecePlan, part: Part): Meaning {
  const { from, to, entity } = plan
  if (answer.head.status !== 206) {
    return contradiction(answer, plan, 'sent the whole body, after a range of it')
  }
  const gap = whyNotJoined(part, from, entity.length, to)
  if (gap !== undefined) return contradiction(answer, plan, gap)
  if (from - part.first > MOST_DROPPED_BYTES) {
    const what = `sent bytes from ${part.first} on where those from ${from} on were asked for`
    return contradiction(answer, plan, what)
  }
  return { kind: 'continue', part, entity, from }
}

/** The meaning of a 416, the answer to a range that is outside of the body. */
function answerWithoutBytes(answer: Answer, plan: Plan): Meaning {
  const { headers } = answer.head
  const length = unsatisfiedLength(headers.single('content-range'))
  if (plan.kind === 'whole') return refused(answer, plan, 0)
  const { from, entity } = plan
  if (plan.kind === 'present') {
    const date = headers.single('last-modified') ?? entity.lastModified
    const isSame = length === from && (entity.lastModified ?? date) === date
    return isSame ? { kind: 'complete', length } : { kind: 'discard' }
  }
  if (isOtherEntity(answer.head, entity)) return changed('it has ended as another version')
  if (length !== undefined && (entity.length ?? Math.max(length, from)) !== length) {
    return changed(`it has ${length} bytes now`)
  }
  // A connection may break between a body's last byte and the end of its framing. Then 416 is true.
  if (from === (entity.length ?? length)) return { kind: 'complete', length: from }
  return refused(answer, plan, from)
}

/** Returns the failure of a response without the wanted body, or `undefined` if it has one. */
function failureOf({ url, head }: Answer, raw: boolean): Failure | undefined {
  if (head.status >= 300) {
    return { kind: isTransient(head.status) ? 'retry' : 'fail', error: statusError(url, head) }
  }
  const error = head.status === 206 || raw ? undefined : codingError(head)
  return error === undefined ? undefined : { kind: 'fail', error }
}

function changed(how: string): Meaning {
  return { kind: 'changed', how }
}

/** A server that contradicts itself with ranges may still send the whole body. */
function contradiction({ url }: Answer, { ranged }: Plan, what: string): Meaning {
  return { kind: ranged ? 'unranged' : 'fail', error: rangeError(url, what) }
}

/** The meaning of a 416 for bytes that the body has, by all that is known. */
function refused(answer: Answer, plan: Plan, from: number): Meaning {
  const said = answer.head.headers.single('content-range')
  const field = said === undefined ? '' : ` (${excerpt(said)})`
  return contradiction(answer, plan, `answered 416${field} to a request for bytes from ${from} on`)
}
