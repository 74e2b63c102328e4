/**
 * Loads a safetensors file: one body in one piece of memory, its tensors typed arrays over that.
 *
 *   node build/examples/safetensors.js URL
 */

import { createPool, type HostFrag, hostProvider } from 'netmem'
import { getInto, type ResponseHead } from 'netmem/http'

/** Typed array of each dtype. Floats of 8 and 16 bits stay bits. */
const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  BOOL: Uint8Array,
}

interface Entry {
  readonly dtype: keyof typeof ARRAYS
  readonly shape: readonly number[]
  readonly data_offsets: readonly [number, number]
}

/** A tensor whose values are a view: all tensors lie in one piece of memory. */
interface Tensor extends Entry {
  readonly values: InstanceType<(typeof ARRAYS)[keyof typeof ARRAYS]>
}

/** Bytes before the data: 8 bytes that say the header's length, and the header. */
const dataBegin = (file: Uint8Array): number =>
  8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))

/** The first 8 bytes of a body, which is broken off there. */
async function firstBytes(url: string): Promise<Uint8Array> {
  const first = new Uint8Array(8)
  const enough = new AbortController()
  const pool = createPool(hostProvider({ pages: 8 }))
  const onFrag = (frag: HostFrag, at: number): void => {
    if (at < 8) first.set(frag.bytes.subarray(0, 8 - at), at)
    if (at + frag.length >= 8) enough.abort()
    frag.release()
  }
  const options = { signal: enough.signal, keepAlive: false }
  await getInto(url, { pool, onFrag }, options).catch((error: unknown) => {
    if (!enough.signal.aborted) throw error
  })
  await pool.destroy()
  return first
}

async function loadSafetensors(url: string): Promise<Map<string, Tensor>> {
  // A typed array begins at a multiple of its element's size, and the data of a file may begin
  // anywhere. So the program looks at the length of its header first. Then it receives the body at
  // such a place of its memory that the data begins at a multiple of 8, which suits every type.
  const before = -dataBegin(await firstBytes(url)) & 7
  let file = new Uint8Array(8)
  await getInto(url, (_head: ResponseHead, length?: number) => {
    if (length === undefined) throw new Error('The server does not say how large it is.')
    file = new Uint8Array(new ArrayBuffer(before + length), before)
    return file
  })
  const begin = dataBegin(file)
  if (begin > file.length) throw new RangeError('The header is longer than the file.')
  const text = new TextDecoder().decode(file.subarray(8, begin))
  const header: Record<string, Entry> = JSON.parse(text)
  const tensors = new Map<string, Tensor>()
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    if (!Object.hasOwn(ARRAYS, entry.dtype)) throw new TypeError(`${name} is ${entry.dtype}.`)
    const [from, to] = entry.data_offsets
    const Values = ARRAYS[entry.dtype]
    const count = entry.shape.reduce((product, size) => product * size, 1)
    const bytes = count * Values.BYTES_PER_ELEMENT
    if (from < 0 || to - from !== bytes || begin + to > file.length) {
      throw new RangeError(`The tensor ${name} is not where the header says.`)
    }
    const values = new Values(file.buffer, file.byteOffset + begin + from, count)
    tensors.set(name, { ...entry, values })
  }
  return tensors
}

for (const [name, { dtype, shape, values }] of await loadSafetensors(process.argv[2] ?? '')) {
  console.log(`${name} ${dtype} [${shape}] at ${values.byteOffset}: ${values.subarray(0, 4)}`)
}
