/** Messages of a family: what stands in front of the attributes, replies, events and refusals. */

import { ArgumentTypeError } from '../../errors.ts'
import { GENERIC_HEADER_BYTES, genericHeader, MESSAGE_HEADER_BYTES } from '../../wire/netlink.ts'
import { NetlinkFormatError } from '../../wire/netlink-attributes.ts'
import { decodeAttributes, decodeStruct, structBytes } from '../../wire/netlink-decode.ts'
import { attributePath, encodeStruct } from '../../wire/netlink-encode.ts'
import { indexOfSet } from '../../wire/netlink-tables.ts'
import { errnoName, NETLINK_GENERIC } from '../sys/index.ts'
import type { FamilyTables, OperationRow } from './family.ts'
import { nlctrl } from './generated/nlctrl.ts'
import type { NlctrlPolicyAttrs } from './generated/nlctrl-types.ts'
import { kernelRefused, type NetlinkError } from './netlink-error.ts'
import { attributePolicy } from './policy.ts'
import type { KernelAnswer } from './requests.ts'
import type { NetlinkEvent } from './subscription.ts'

/** The netlink protocol that a family is part of. */
export function protocolOf(family: FamilyTables): number {
  return family.protocol ?? NETLINK_GENERIC
}

/** Returns the row of an operation. Throws NETMEM_INVALID_ARGUMENT if the family lacks the operation. */
export function operationOf(family: FamilyTables, operation: string): OperationRow {
  const { operations } = family
  const row = Object.hasOwn(operations, operation) ? operations[operation] : undefined
  if (row !== undefined) return row
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `The family ${family.name} has no operation ${JSON.stringify(operation)}; ` +
      `it has ${Object.keys(operations).join(', ')}.`,
  )
}

/** Splits what a caller gives into the bytes in front of the attributes, and the attributes. */
export function headOf(
  family: FamilyTables,
  row: OperationRow,
  values: object,
): { readonly bytes: Uint8Array; readonly attributes: object } {
  if (family.protocol === undefined) {
    return { bytes: genericHeader(row.request ?? 0, family.version ?? 1), attributes: values }
  }
  if (row.header === undefined) return { bytes: new Uint8Array(0), attributes: values }
  const members = new Set((family.structs[row.header] ?? []).map(({ name }) => name))
  const entries = Object.entries(values)
  const header = Object.fromEntries(entries.filter(([name]) => members.has(name)))
  const attributes = Object.fromEntries(entries.filter(([name]) => !members.has(name)))
  return { bytes: encodeStruct(family, row.header, header), attributes }
}

function headBytes(family: FamilyTables, row: OperationRow): number {
  if (family.protocol === undefined) return GENERIC_HEADER_BYTES
  return row.header === undefined ? 0 : structBytes(family, row.header)
}

/**
 * Decodes the reply to an operation, or an event.
 *
 * @throws NETMEM_NETLINK_MALFORMED, also if an attribute is missing that every reply has.
 */
export function decodeReply(
  family: FamilyTables,
  operation: string,
  row: OperationRow,
  payload: Uint8Array,
): object {
  const head = headBytes(family, row)
  const attributes = decodeAttributes<object>(family, row.set, payload.subarray(head))
  for (const name of row.always ?? []) {
    if (!Object.hasOwn(attributes, name)) {
      throw new NetlinkFormatError(`The reply to ${family.name} ${operation} lacks ${name}.`)
    }
  }
  if (row.header === undefined) return attributes
  return { ...decodeStruct<object>(family, row.header, payload), ...attributes }
}

/** Decodes a notification. `type` is that of its message. */
export function decodeEvent<Events>(
  family: FamilyTables,
  type: number,
  payload: Uint8Array,
): NetlinkEvent<Events> {
  const command = family.protocol === undefined ? (payload[0] ?? 0) : type
  const found = Object.entries(family.events).find(([, row]) => row.reply === command)
  if (found === undefined) return { kind: 'unknown', command, payload: new Uint8Array(payload) }
  const [name, row] = found
  const event: NetlinkEvent<Events> = Object.create(Object.prototype)
  return Object.assign(event, {
    kind: 'event',
    name,
    message: decodeReply(family, name, row, payload),
  })
}

/** Makes the error of a request that the kernel refused, with the names of its attributes. */
export function refusal(
  family: FamilyTables,
  what: string,
  row: OperationRow,
  { acknowledgement, sent }: KernelAnswer,
): NetlinkError {
  const { errno, message, offset, missingType, missingNest, policy } = acknowledgement
  const start = MESSAGE_HEADER_BYTES + headBytes(family, row)
  const path = (at: number) => attributePath(family, row.set, sent.subarray(start), at - start)
  const attribute = offset === undefined ? undefined : path(offset)
  const nest = missingNest === undefined ? undefined : path(missingNest)
  return kernelRefused(what, errno, {
    errno: errnoName(errno),
    kernelMessage: message,
    attribute,
    missing: missingType === undefined ? undefined : missing(family, row, missingType, nest),
    policy:
      policy === undefined
        ? undefined
        : attributePolicy(decodeAttributes<NlctrlPolicyAttrs>(nlctrl, 'policy-attrs', policy)),
  })
}

/** Names an attribute by its type and by the names of the nests around it. */
function missing(
  family: FamilyTables,
  row: OperationRow,
  type: number,
  nest: string | undefined,
): string {
  let { set } = row
  for (const name of nest?.split('.') ?? []) {
    set = indexOfSet(family, set).byName.get(name)?.nested ?? ''
  }
  const name = indexOfSet(family, set).byId.get(type)?.name ?? `attribute ${type}`
  return nest === undefined ? name : `${nest}.${name}`
}
