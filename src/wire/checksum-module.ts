/**
 * A WebAssembly module with one function, `sum(offset, length, initial)`: the Internet checksum of
 * a range of the memory it imports, 64 bytes at a time. It is put together here, byte by byte, by
 * an assembler of one line per instruction; numbers from the WebAssembly specification, 5.4.
 *
 * The words are added as little-endian ones, which the processor loads, into 64 bits. One's
 * complement sums don't mind the order of bytes as long as the result is swapped (RFC 1071, 2 (B));
 * and to swap is to multiply by 256, since 65536 is 1 modulo 65535.
 */

// Not every engine has it, and the compiler's library does not know it.
declare const WebAssembly:
  | {
      readonly Memory: new (layout: { initial: number; maximum: number }) => { buffer: ArrayBuffer }
      readonly Module: new (bytes: Uint8Array) => object
      readonly Instance: new (
        module: object,
        imports: { netmem: { memory: object } },
      ) => { readonly exports: { sum(offset: number, length: number, initial: number): number } }
    }
  | undefined

/** Memory that an instance of the module has for its own, and the instance's function. */
export interface ChecksumInstance {
  readonly buffer: ArrayBuffer
  readonly sum: (offset: number, length: number, initial: number) => number
}

/** WebAssembly's page. */
const UNIT_BYTES = 64 * 1024

let compiled: object | undefined

/** At least `bytes` of memory with its function; `undefined` where the engine or the processor can't. */
export function makeChecksumInstance(bytes: number): ChecksumInstance | undefined {
  if (typeof WebAssembly !== 'object') return undefined
  try {
    compiled ??= new WebAssembly.Module(moduleBytes())
    // Never grows: its buffer is the same always.
    const units = Math.ceil(bytes / UNIT_BYTES)
    const memory = new WebAssembly.Memory({ initial: units, maximum: units })
    const instance = new WebAssembly.Instance(compiled, { netmem: { memory } })
    return { buffer: memory.buffer, sum: instance.exports.sum }
  } catch {
    // No SIMD, or no address space.
    return undefined
  }
}

/** Bytes of code, in any nesting. */
type Code = number | readonly Code[]

const I32 = 0x7f
const I64 = 0x7e
const V128 = 0x7b

// Instructions, operands first.
const get = (local: number): Code => [0x20, local]
const set = (local: number, value: Code): Code => [value, 0x21, local]
const i32 = (value: number): Code => [0x41, signed(value)]
const i64 = (value: number): Code => [0x42, signed(value)]
const block = (...body: readonly Code[]): Code => [0x02, 0x40, body, 0x0b]
const loop = (...body: readonly Code[]): Code => [0x03, 0x40, body, 0x0b]
/** Leaves the block, or begins the loop again, that is `depth` levels out. */
const branchIf = (depth: number, condition: Code): Code => [condition, 0x0d, depth]
const select = (ifTrue: Code, ifFalse: Code, condition: Code): Code => [
  ifTrue,
  ifFalse,
  condition,
  0x1b,
]
const i32Eqz = (a: Code): Code => [a, 0x45]
const i32LessUnsigned = (a: Code, b: Code): Code => [a, b, 0x49]
const i32Add = (a: Code, b: Code): Code => [a, b, 0x6a]
const i32Sub = (a: Code, b: Code): Code => [a, b, 0x6b]
const i32And = (a: Code, b: Code): Code => [a, b, 0x71]
const i32ShiftLeft = (a: Code, b: Code): Code => [a, b, 0x74]
const i32ShiftRight = (a: Code, b: Code): Code => [a, b, 0x76]
const i64Add = (a: Code, b: Code): Code => [a, b, 0x7c]
const i64And = (a: Code, b: Code): Code => [a, b, 0x83]
const i64ShiftLeft = (a: Code, b: Code): Code => [a, b, 0x86]
const i64ShiftRight = (a: Code, b: Code): Code => [a, b, 0x88]
const i32Wrap = (a: Code): Code => [a, 0xa7]
const i64Extend = (a: Code): Code => [a, 0xad]
// Loads of any alignment, zero-extended.
const i64Load8 = (at: Code): Code => [at, 0x31, 0, 0]
const i64Load16 = (at: Code): Code => [at, 0x33, 0, 0]
const i64Load32 = (at: Code): Code => [at, 0x35, 0, 0]
const v128Load = (at: Code, offset: number): Code => [at, 0xfd, 0x00, 0, offset]
const v128Zero: Code = [0xfd, 0x0c, new Array<number>(16).fill(0)]
/** Four sums of two neighbouring 16-bit words each. */
const addPairs = (a: Code): Code => [a, 0xfd, 0x7f]
const i32x4Add = (a: Code, b: Code): Code => [a, b, 0xfd, 0xae, 0x01]
const i64x2ExtendLow = (a: Code): Code => [a, 0xfd, 0xc9, 0x01]
const i64x2ExtendHigh = (a: Code): Code => [a, 0xfd, 0xca, 0x01]
const i64x2Add = (a: Code, b: Code): Code => [a, b, 0xfd, 0xce, 0x01]
const i64x2Lane = (a: Code, lane: number): Code => [a, 0xfd, 0x1d, lane]

// Parameters and locals of the function.
const AT = 0
const LEFT = 1
const INITIAL = 2
/** Rounds of 64 bytes until the lanes have to be emptied. */
const ROUNDS = 3
const TOTAL = 4
/** Four 32-bit sums each; two of them, so that one addition need not wait for the other. */
const LANES = 5
const OTHER_LANES = 6

/** A round adds at most 4 × 65535 to a lane. */
const MAX_ROUNDS = 16_384

const addToLanes = (lanes: number, offset: number): Code =>
  set(lanes, i32x4Add(get(lanes), addPairs(v128Load(get(AT), offset))))

const addToTotal = (value: Code): Code => set(TOTAL, i64Add(get(TOTAL), value))

const advance = (bytes: number): Code => [
  set(AT, i32Add(get(AT), i32(bytes))),
  set(LEFT, i32Sub(get(LEFT), i32(bytes))),
]

const rounds: Code = block(
  loop(
    set(ROUNDS, i32ShiftRight(get(LEFT), i32(6))),
    branchIf(1, i32Eqz(get(ROUNDS))),
    set(
      ROUNDS,
      select(get(ROUNDS), i32(MAX_ROUNDS), i32LessUnsigned(get(ROUNDS), i32(MAX_ROUNDS))),
    ),
    set(LEFT, i32Sub(get(LEFT), i32ShiftLeft(get(ROUNDS), i32(6)))),
    set(LANES, v128Zero),
    set(OTHER_LANES, v128Zero),
    loop(
      addToLanes(LANES, 0),
      addToLanes(OTHER_LANES, 16),
      addToLanes(LANES, 32),
      addToLanes(OTHER_LANES, 48),
      set(AT, i32Add(get(AT), i32(64))),
      set(ROUNDS, i32Sub(get(ROUNDS), i32(1))),
      branchIf(0, get(ROUNDS)),
    ),
    set(
      LANES,
      i64x2Add(
        i64x2Add(i64x2ExtendLow(get(LANES)), i64x2ExtendHigh(get(LANES))),
        i64x2Add(i64x2ExtendLow(get(OTHER_LANES)), i64x2ExtendHigh(get(OTHER_LANES))),
      ),
    ),
    addToTotal(i64Add(i64x2Lane(get(LANES), 0), i64x2Lane(get(LANES), 1))),
    branchIf(0, i32(1)),
  ),
)

/** What is left of less than 64 bytes. */
const rest: Code = [
  block(
    loop(
      branchIf(1, i32LessUnsigned(get(LEFT), i32(4))),
      addToTotal(i64Load32(get(AT))),
      advance(4),
      branchIf(0, i32(1)),
    ),
  ),
  block(
    branchIf(0, i32LessUnsigned(get(LEFT), i32(2))),
    addToTotal(i64Load16(get(AT))),
    advance(2),
  ),
  block(
    branchIf(0, i32Eqz(i32And(get(LEFT), i32(1)))),
    // The low byte of a little-endian word: padded with zero behind.
    addToTotal(i64Load8(get(AT))),
  ),
]

const foldTotal = (bits: number): Code =>
  set(TOTAL, i64Add(i64And(get(TOTAL), i64(2 ** bits - 1)), i64ShiftRight(get(TOTAL), i64(bits))))

const swapTotal: Code = set(TOTAL, i64ShiftLeft(get(TOTAL), i64(8)))

// 2 GiB make less than 2^46: nothing overflows. What is left of 64 bits is 33, 18, 17 and 16 bits long.
const body: Code = [
  set(TOTAL, i64Extend(get(INITIAL))),
  swapTotal,
  rounds,
  rest,
  swapTotal,
  foldTotal(32),
  foldTotal(16),
  foldTotal(16),
  foldTotal(16),
  i32Wrap(get(TOTAL)),
]

function moduleBytes(): Uint8Array {
  const locals = vector([
    [1, I32],
    [1, I64],
    [2, V128],
  ])
  const code = [locals, body, 0x0b]
  return Uint8Array.from(
    flat([
      // "\0asm", version 1
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, [[0x60, vector([I32, I32, I32]), vector([I32])]]),
      // Any size of memory will do.
      section(2, [[name('netmem'), name('memory'), 0x02, 0x00, 0x00]]),
      section(3, [0]),
      section(7, [[name('sum'), 0x00, 0]]),
      section(10, [[unsigned(flat(code).length), code]]),
    ]),
  )
}

function section(id: number, items: readonly Code[]): Code {
  const content = flat(vector(items))
  return [id, unsigned(content.length), content]
}

function vector(items: readonly Code[]): Code {
  return [unsigned(items.length), items]
}

function name(ascii: string): Code {
  return vector(Array.from(ascii, (character) => character.charCodeAt(0)))
}

function flat(code: Code): number[] {
  return typeof code === 'number' ? [code] : code.flatMap(flat)
}

/** Unsigned LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? value : [(value & 0x7f) | 0x80, unsigned(Math.floor(value / 0x80))]
}

/** Signed LEB128 of a value that is not negative: one more bit, for the sign. */
function signed(value: number): Code {
  return value < 0x40 ? value : [(value % 0x80) | 0x80, signed(Math.floor(value / 0x80))]
}
