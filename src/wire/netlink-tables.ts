/**
 * The shape of the tables that say what the attributes of a netlink family mean. A script generates
 * them from the kernel's specifications, with the names that the specifications use. The codecs
 * netlink-decode.ts and netlink-encode.ts read them.
 */

/** Whole numbers by width and sign. `uint` and `sint` take 4 or 8 bytes, as their value needs. */
export type ScalarType =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 's8'
  | 's16'
  | 's32'
  | 's64'
  | 'uint'
  | 'sint'

/** One attribute of a set. */
export interface AttributeRow {
  /** Number in messages. */
  readonly id: number
  /** Name in the specification. */
  readonly name: string
  /** Type of the value. `array`, `levels` and `select` are nests too. */
  readonly type: ScalarType | 'string' | 'binary' | 'flag' | 'nest' | 'array' | 'levels' | 'select'
  /** Set of the attributes inside, for `nest`, `array` and `levels`. */
  readonly nested?: string
  /** True if the attribute may stand several times: its value is an array. */
  readonly multi?: true
  /** Names of a number's values. */
  readonly enum?: string
  /** Names of a number's bits, from the lowest. */
  readonly flags?: string
  /** True for a `uint` of at most 32 bits: its value is a number instead of a bigint. */
  readonly small?: true
  /** True for numbers in network byte order. */
  readonly bigEndian?: true
  /** Type of the numbers that a `binary` is an array of. */
  readonly element?: ScalarType
  /** Struct that a `binary` is. */
  readonly struct?: string
  /** Names for the types of nests around a `levels`, from the outermost. */
  readonly levels?: readonly string[]
  /** Attribute beside a `select` whose value says which set is inside. */
  readonly selector?: string
  /** Sets inside a `select`, by value of the selector. */
  readonly choices?: Readonly<Record<string, string>>
}

/** One member of a struct. Members without a name are padding. */
interface MemberRow {
  /** Name in the specification. */
  readonly name?: string
  /** Type of the value. */
  readonly type: Exclude<ScalarType, 'uint' | 'sint'>
  /** Names of its values. */
  readonly enum?: string
  /** Names of its bits, from the lowest. */
  readonly flags?: string
}

/** Names of values or bits. */
type EnumRows = Readonly<Record<number, string>>

/** All that the codecs need to know of a family. */
export interface Tables {
  /** Names of values and bits. */
  readonly enums: Readonly<Record<string, EnumRows>>
  /** Sets of attributes. */
  readonly sets: Readonly<Record<string, readonly AttributeRow[]>>
  /** Structs in front of attributes and in them. */
  readonly structs: Readonly<Record<string, readonly MemberRow[]>>
}

/** An attribute that the tables do not have: of a newer kernel, or left out of them. */
export interface UnknownAttribute {
  /** Number of the attribute. */
  readonly type: number
  /** Bytes of the value, without the header. */
  readonly value: Uint8Array
}

/**
 * Name under which decoded values keep unknown attributes. No specification has an attribute of this
 * name.
 */
export const UNKNOWN_ATTRIBUTES = 'unknown-attributes'

interface SetIndex {
  readonly byId: ReadonlyMap<number, AttributeRow>
  readonly byName: ReadonlyMap<string, AttributeRow>
}

const indexes = new WeakMap<readonly AttributeRow[], SetIndex>()
const NO_ROWS: readonly AttributeRow[] = []

/** Returns the rows of a set by id and by name. A set that the tables do not have is empty. */
export function indexOfSet(tables: Tables, set: string): SetIndex {
  const rows = tables.sets[set] ?? NO_ROWS
  let index = indexes.get(rows)
  if (index === undefined) {
    index = {
      byId: new Map(rows.map((row) => [row.id, row])),
      byName: new Map(rows.map((row) => [row.name, row])),
    }
    indexes.set(rows, index)
  }
  return index
}
