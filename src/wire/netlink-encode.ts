/** Objects to attributes of netlink, by the tables of their family. */

import { ArgumentTypeError } from '../errors.ts'
import { joinBytes } from './bytes.ts'
import { AttributeWriter, NLA_F_NESTED, parseAttributes } from './netlink-attributes.ts'
import { scalarToBytes } from './netlink-numbers.ts'
import {
  type AttributeRow,
  indexOfSet,
  type ScalarType,
  type Tables,
  UNKNOWN_ATTRIBUTES,
} from './netlink-tables.ts'

/**
 * Encodes the properties of `values`, in their order. Properties that are undefined are left out, as
 * are flags that are false. `unknown-attributes` are written as they are.
 *
 * @throws NETMEM_INVALID_ARGUMENT for a name that `set` lacks and for a value of the wrong type, and
 *   NETMEM_OUT_OF_RANGE for a number that does not fit.
 */
export function encodeAttributes(
  tables: Tables,
  set: string,
  values: object,
): Uint8Array<ArrayBuffer> {
  const writer = new AttributeWriter()
  encodeInto(writer, tables, set, values)
  return writer.bytes()
}

function encodeInto(writer: AttributeWriter, tables: Tables, set: string, values: unknown): void {
  if (typeof values !== 'object' || values === null) {
    throw invalid(`Attributes of ${set} are an object, not ${kindOf(values)}.`)
  }
  const { byName } = indexOfSet(tables, set)
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    if (name === UNKNOWN_ATTRIBUTES) {
      encodeUnknown(writer, value)
      continue
    }
    const row = byName.get(name)
    if (row === undefined) {
      throw invalid(
        `${set} has no attribute ${JSON.stringify(name)}; it has ${[...byName.keys()].join(', ')}.`,
      )
    }
    if (row.multi !== true) encodeOne(writer, tables, row, value, values)
    else if (!Array.isArray(value)) throw invalid(`${name} is an array, not ${kindOf(value)}.`)
    else for (const item of value) encodeOne(writer, tables, row, item, values)
  }
}

function encodeUnknown(writer: AttributeWriter, attributes: unknown): void {
  if (!Array.isArray(attributes)) throw invalid(`${UNKNOWN_ATTRIBUTES} is an array.`)
  for (const attribute of attributes) {
    const type: unknown = attribute?.type
    const value: unknown = attribute?.value
    if (typeof type !== 'number' || !(value instanceof Uint8Array)) {
      throw invalid(`${UNKNOWN_ATTRIBUTES} has objects with a type and a Uint8Array as value.`)
    }
    writer.put(type, value)
  }
}

function encodeOne(
  writer: AttributeWriter,
  tables: Tables,
  row: AttributeRow,
  value: unknown,
  beside: object,
): void {
  switch (row.type) {
    case 'flag':
      if (value === true) writer.put(row.id, new Uint8Array(0))
      else if (value !== false) throw invalid(`${row.name} is true or false.`)
      return
    case 'string':
      if (typeof value !== 'string') throw invalid(`${row.name} is a string.`)
      writer.put(row.id, new TextEncoder().encode(`${value}\0`))
      return
    case 'binary':
      writer.put(row.id, encodeBinary(tables, row, value))
      return
    case 'nest':
      encodeNest(writer, tables, row, row.nested ?? '', value)
      return
    case 'array': {
      if (!Array.isArray(value)) throw invalid(`${row.name} is an array.`)
      const start = writer.begin(row.id | NLA_F_NESTED)
      for (const [index, item] of value.entries()) {
        encodeNest(writer, tables, { ...row, id: index }, row.nested ?? '', item)
      }
      writer.end(start)
      return
    }
    case 'select': {
      const choice: unknown = Reflect.get(beside, row.selector ?? '')
      const set = typeof choice === 'string' ? row.choices?.[choice] : undefined
      if (set !== undefined) encodeNest(writer, tables, row, set, value)
      else if (value instanceof Uint8Array) writer.put(row.id | NLA_F_NESTED, value)
      else throw invalid(`${row.name} is a Uint8Array where ${row.selector} is ${choice}.`)
      return
    }
    case 'levels':
      throw invalid(`${row.name} is in replies alone.`)
    default:
      writer.put(row.id, encodeNumber(tables, row, row.type, value))
  }
}

function encodeNest(
  writer: AttributeWriter,
  tables: Tables,
  row: AttributeRow,
  set: string,
  value: unknown,
): void {
  const start = writer.begin(row.id | NLA_F_NESTED)
  encodeInto(writer, tables, set, value)
  writer.end(start)
}

function encodeBinary(tables: Tables, row: AttributeRow, value: unknown): Uint8Array {
  if (row.struct !== undefined) return encodeStruct(tables, row.struct, value)
  if (value instanceof Uint8Array) return value
  const { element } = row
  if (element === undefined || !Array.isArray(value)) {
    throw invalid(`${row.name} is ${element === undefined ? 'a Uint8Array' : 'an array'}.`)
  }
  return joinBytes(
    value.map((item) => scalarToBytes(row.name, element, item, row.bigEndian !== true)),
  )
}

/** An attribute or a member of a struct that is a number. */
type NamedNumber = Pick<AttributeRow, 'name' | 'enum' | 'flags' | 'bigEndian'>

function encodeNumber(
  tables: Tables,
  row: NamedNumber,
  type: ScalarType,
  value: unknown,
): Uint8Array {
  const little = row.bigEndian !== true
  if (row.enum !== undefined && typeof value === 'string') {
    return scalarToBytes(row.name, type, numberNamed(tables, row.name, row.enum, value), little)
  }
  if (row.flags === undefined) return scalarToBytes(row.name, type, value, little)
  if (!Array.isArray(value)) throw invalid(`${row.name} is an array of flags.`)
  let bits = 0n
  for (const flag of value) {
    const bit = typeof flag === 'string' ? numberNamed(tables, row.name, row.flags, flag) : flag
    if (!Number.isInteger(bit) || bit < 0 || bit > 63)
      throw invalid(`${row.name} has no bit ${bit}.`)
    bits |= 1n << BigInt(bit)
  }
  return scalarToBytes(row.name, type, bits, little)
}

function numberNamed(tables: Tables, attribute: string, names: string, name: string): number {
  const rows = Object.entries(tables.enums[names] ?? {})
  const row = rows.find(([, candidate]) => candidate === name)
  if (row !== undefined) return Number(row[0])
  const known = rows.map(([, candidate]) => candidate).join(', ')
  throw invalid(`${attribute} has no value ${JSON.stringify(name)}; it has ${known}.`)
}

/** Encodes a struct. Members that `values` lacks are 0. */
export function encodeStruct(tables: Tables, struct: string, values: unknown): Uint8Array {
  if (typeof values !== 'object' || values === null) {
    throw invalid(`Members of ${struct} are an object, not ${kindOf(values)}.`)
  }
  const rows = tables.structs[struct] ?? []
  for (const name of Object.keys(values)) {
    if (rows.some((row) => row.name === name)) continue
    const known = rows.flatMap((row) => row.name ?? []).join(', ')
    throw invalid(`${struct} has no member ${JSON.stringify(name)}; it has ${known}.`)
  }
  return joinBytes(
    rows.map((row) => {
      const { name = struct, type } = row
      const value: unknown = row.name === undefined ? undefined : Reflect.get(values, name)
      if (value === undefined) return scalarToBytes(name, type, 0, true)
      return encodeNumber(tables, { ...row, name }, type, value)
    }),
  )
}

/**
 * Returns the names of the attributes around byte `offset` of `bytes`, joined by dots: the place that
 * an acknowledgement names. Returns undefined if no attribute begins there.
 *
 * @throws NETMEM_NETLINK_MALFORMED
 */
export function attributePath(
  tables: Tables,
  set: string,
  bytes: Uint8Array,
  offset: number,
): string | undefined {
  const { byId } = indexOfSet(tables, set)
  for (const attribute of parseAttributes(bytes)) {
    const row = byId.get(attribute.type)
    const name = row?.name ?? `attribute ${attribute.type}`
    if (attribute.offset === offset) return name
    const start = attribute.offset + 4
    if (offset < start || offset >= start + attribute.value.length) continue
    if (row?.nested === undefined) return name
    const inner = attributePath(tables, row.nested, attribute.value, offset - start)
    return inner === undefined ? name : `${name}.${inner}`
  }
  return undefined
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}

function invalid(message: string): ArgumentTypeError {
  return new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', message)
}
