/** Attributes of netlink to objects, by the tables of their family. */

import { cString, NetlinkFormatError, parseAttributes } from './netlink-attributes.ts'
import { readScalar, type Scalar, scalarBytes } from './netlink-numbers.ts'
import {
  type AttributeRow,
  indexOfSet,
  type ScalarType,
  type Tables,
  UNKNOWN_ATTRIBUTES,
  type UnknownAttribute,
} from './netlink-tables.ts'

/** Nests deeper than this are an attack or a mistake: the kernel's deepest have about six levels. */
const MAX_DEPTH = 16

/**
 * Decodes the attributes that fill `bytes` to an object: `T` is what the tables say of `set`. Bytes
 * are copied. Attributes that the tables do not have are kept in `unknown-attributes`.
 *
 * @param depth number of nests around the attributes.
 * @throws NETMEM_NETLINK_MALFORMED for lengths that do not fit together or do not fit their types.
 */
export function decodeAttributes<T extends object>(
  tables: Tables,
  set: string,
  bytes: Uint8Array,
  depth: number = 0,
): T {
  if (depth > MAX_DEPTH) throw new NetlinkFormatError(`Netlink nests are over ${MAX_DEPTH} deep.`)
  const values: T = Object.create(Object.prototype)
  const { byId } = indexOfSet(tables, set)
  const unknown: UnknownAttribute[] = []
  for (const { type, value } of parseAttributes(bytes)) {
    const row = byId.get(type)
    if (row === undefined) {
      unknown.push({ type, value: new Uint8Array(value) })
    } else if (row.type === 'levels') {
      append(values, row.name, decodeLevels(tables, row, value, depth))
    } else {
      const decoded = decodeValue(tables, row, value, depth, values)
      if (row.multi === true) append(values, row.name, [decoded])
      else Reflect.set(values, row.name, decoded)
    }
  }
  if (unknown.length > 0) Reflect.set(values, UNKNOWN_ATTRIBUTES, unknown)
  return values
}

function append(values: object, name: string, more: readonly unknown[]): void {
  const before: unknown = Reflect.get(values, name)
  Reflect.set(values, name, Array.isArray(before) ? [...before, ...more] : more)
}

function decodeValue(
  tables: Tables,
  row: AttributeRow,
  value: Uint8Array,
  depth: number,
  beside: object,
): unknown {
  switch (row.type) {
    case 'flag':
      return true
    case 'string':
      return cString(value)
    case 'binary':
      return decodeBinary(tables, row, value)
    case 'nest':
      return decodeAttributes<object>(tables, row.nested ?? '', value, depth + 1)
    case 'array':
      return parseAttributes(value).map((item) =>
        decodeAttributes<object>(tables, row.nested ?? '', item.value, depth + 1),
      )
    case 'select': {
      const choice: unknown = Reflect.get(beside, row.selector ?? '')
      const set = typeof choice === 'string' ? row.choices?.[choice] : undefined
      return set === undefined
        ? new Uint8Array(value)
        : decodeAttributes<object>(tables, set, value, depth + 1)
    }
    case 'levels':
      return decodeLevels(tables, row, value, depth)
    default:
      return decodeNumber(tables, row, row.type, value)
  }
}

function decodeBinary(tables: Tables, row: AttributeRow, value: Uint8Array): unknown {
  if (row.struct !== undefined) return decodeStruct<object>(tables, row.struct, value)
  if (row.element === undefined) return new Uint8Array(value)
  const size = scalarBytes(row.element)
  if (value.length % size !== 0) throw wrongLength(row, value)
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const signed = row.element.startsWith('s')
  return Array.from({ length: value.length / size }, (_, index) =>
    readScalar(view, index * size, size, signed, row.bigEndian !== true),
  )
}

/** A nest whose type is a value: its levels get names, and the attributes inside stand beside them. */
function decodeLevels(
  tables: Tables,
  row: AttributeRow,
  value: Uint8Array,
  depth: number,
): object[] {
  const [name, ...rest] = row.levels ?? []
  if (name === undefined)
    return [decodeAttributes<object>(tables, row.nested ?? '', value, depth + 1)]
  const inner = { ...row, levels: rest }
  return parseAttributes(value).flatMap((item) =>
    decodeLevels(tables, inner, item.value, depth).map((decoded) => ({
      [name]: item.type,
      ...decoded,
    })),
  )
}

function decodeNumber(
  tables: Tables,
  row: AttributeRow,
  type: ScalarType,
  value: Uint8Array,
): unknown {
  const auto = type === 'uint' || type === 'sint'
  const size = auto && value.length === 8 ? 8 : scalarBytes(type)
  if (value.length !== size) throw wrongLength(row, value)
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const number = readScalar(view, 0, size, type.startsWith('s'), row.bigEndian !== true)
  const wide = auto ? row.small !== true : size === 8
  return named(tables, row, number) ?? (wide ? BigInt(number) : Number(number))
}

/** Returns the name of a number, or of its bits, or undefined if it has no names. */
function named(
  tables: Tables,
  names: { readonly enum?: string; readonly flags?: string },
  number: Scalar,
): string | number | (string | number)[] | undefined {
  if (names.enum !== undefined) return tables.enums[names.enum]?.[Number(number)] ?? Number(number)
  return names.flags === undefined ? undefined : decodeFlags(tables, names.flags, number)
}

/** Names of the bits that are set, from the lowest. A bit without a name is its number. */
function decodeFlags(tables: Tables, flags: string, number: Scalar): (string | number)[] {
  const names = tables.enums[flags] ?? {}
  const set: (string | number)[] = []
  for (let bit = 0, rest = BigInt(number); rest > 0n; bit += 1, rest >>= 1n) {
    if ((rest & 1n) === 1n) set.push(names[bit] ?? bit)
  }
  return set
}

/**
 * Decodes the struct at the start of `bytes`. The members that a shorter struct of an older kernel
 * lacks are left out.
 */
export function decodeStruct<T extends object>(
  tables: Tables,
  struct: string,
  bytes: Uint8Array,
): T {
  const values: T = Object.create(Object.prototype)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  for (const row of tables.structs[struct] ?? []) {
    const { name, type } = row
    const size = scalarBytes(type)
    if (at + size > bytes.length) break
    if (name !== undefined) {
      const number = readScalar(view, at, size, type.startsWith('s'), true)
      Reflect.set(values, name, named(tables, row, number) ?? number)
    }
    at += size
  }
  return values
}

/** Bytes of a struct. Specifications write every hole as a member. */
export function structBytes(tables: Tables, struct: string): number {
  return (tables.structs[struct] ?? []).reduce((bytes, { type }) => bytes + scalarBytes(type), 0)
}

function wrongLength(row: AttributeRow, value: Uint8Array): NetlinkFormatError {
  return new NetlinkFormatError(
    `Netlink attribute ${row.name} of type ${row.type} has ${value.length} bytes.`,
  )
}
