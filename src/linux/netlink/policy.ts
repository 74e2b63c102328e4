/** Policies: values that the running kernel accepts in each attribute of an operation. */

import { indexOfSet, type Tables } from '../../wire/netlink-tables.ts'
import type { NlctrlCtrlAttrs, NlctrlPolicyAttrs } from './generated/nlctrl-types.ts'

/** Values that the kernel accepts in one attribute. Limits that it does not have are left out. */
export interface AttributePolicy {
  /** Type of the attribute, such as `u32` or `nested`. */
  readonly type: string
  /** Least value of a number. */
  readonly min?: bigint
  /** Greatest value of a number. */
  readonly max?: bigint
  /** Fewest bytes of a string or of bytes. */
  readonly minLength?: number
  /** Most bytes of a string or of bytes. */
  readonly maxLength?: number
  /** Bits that flags may set. */
  readonly mask?: bigint
  /** Policies of the attributes inside a nest. Nests may hold themselves. */
  readonly nested?: AttributePolicies
}

/** Policies by name. An attribute that the tables do not have is `attribute 9` or the like. */
export type AttributePolicies = Readonly<Record<string, AttributePolicy>>

/** Policies of the two modes of an operation. A mode that it does not have is left out. */
export interface OperationPolicy {
  /** Attributes that `netlink.do()` may send. */
  readonly do?: AttributePolicies
  /** Attributes that `netlink.dump()` may send. */
  readonly dump?: AttributePolicies
}

/** Reads what acknowledgements and policy dumps say of one attribute. */
export function attributePolicy(attributes: NlctrlPolicyAttrs): AttributePolicy {
  const min = attributes['min-value-s'] ?? attributes['min-value-u']
  const max = attributes['max-value-s'] ?? attributes['max-value-u']
  const minLength = attributes['min-length']
  const maxLength = attributes['max-length']
  const mask = attributes.mask ?? optional(attributes['bitfield32-mask'])
  return {
    type: String(attributes.type ?? 'unknown'),
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
    ...(minLength !== undefined && { minLength }),
    ...(maxLength !== undefined && { maxLength }),
    ...(mask !== undefined && { mask }),
  }
}

function optional(mask: number | undefined): bigint | undefined {
  return mask === undefined ? undefined : BigInt(mask)
}

/** Puts the parts of a policy dump together. `set` is the operation's set of attributes. */
export function operationPolicy(
  parts: readonly NlctrlCtrlAttrs[],
  tables: Tables,
  set: string,
): OperationPolicy {
  const rows = parts.flatMap((part) => part.policy ?? [])
  const known = new Map<string, AttributePolicies>()

  function policies(index: number, of: string): AttributePolicies {
    const key = `${index} ${of}`
    const before = known.get(key)
    if (before !== undefined) return before
    const made: Record<string, AttributePolicy> = {}
    known.set(key, made)
    const { byId } = indexOfSet(tables, of)
    for (const row of rows) {
      if (row['policy-id'] !== index) continue
      const attribute = byId.get(row['attr-id'])
      const inner = row['policy-idx']
      made[attribute?.name ?? `attribute ${row['attr-id']}`] = {
        ...attributePolicy(row),
        ...(inner !== undefined && { nested: policies(inner, attribute?.nested ?? '') }),
      }
    }
    return made
  }

  const modes: { do?: AttributePolicies; dump?: AttributePolicies } = {}
  for (const mode of parts.flatMap((part) => part['op-policy'] ?? [])) {
    if (mode.do !== undefined) modes.do = policies(mode.do, set)
    if (mode.dump !== undefined) modes.dump = policies(mode.dump, set)
  }
  return modes
}
