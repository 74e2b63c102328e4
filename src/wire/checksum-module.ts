/**
 * The WebAssembly module of the Internet checksum, `checksum.wat`, and its instances. An instance
 * sums bytes of the one memory that it is made with.
 */

// Declares a global that some engines lack and the compiler's library does not know.
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

/** Memory of an instance, and the function that sums bytes of it. */
export interface ChecksumInstance {
  readonly buffer: ArrayBuffer
  readonly sum: (offset: number, length: number, initial: number) => number
}

/** @internal `checksum.wat` assembled, in Base64. */
export const CHECKSUM_MODULE: string = [
  'AGFzbQEAAAABCAFgA39/fwF/AhIBBm5ldG1lbQZtZW1vcnkCAAADAgEABwcBA3N1bQAACogDAYUDAwF/AX4CeyACrU',
  'IIhiEEAkADQCABQQZ2IQMgA0UNASADQYCAASADQYCAAUkbIQMgASADQQZ0ayEB/QwAAAAAAAAAAAAAAAAAAAAAIQX9',
  'DAAAAAAAAAAAAAAAAAAAAAAhBgNAIAUgAP0AAAD9f/2uASEFIAYgAP0AABD9f/2uASEGIAUgAP0AACD9f/2uASEFIA',
  'YgAP0AADD9f/2uASEGIABBwABqIQAgA0EBayEDIAMNAAsgBf3JASAF/coB/c4BIAb9yQEgBv3KAf3OAf3OASEFIAQg',
  'Bf0dACAF/R0BfHwhBAwACwsCQANAIAFBBEkNASAEIAA1AAB8IQQgAEEEaiEAIAFBBGshAQwACwsgAUECTwRAIAQgAD',
  'MAAHwhBCAAQQJqIQAgAUECayEBCyABBEAgBCAAMQAAfCEECyAEQgiGIQQgBEL/////D4MgBEIgiHwhBCAEQv//A4Mg',
  'BEIQiHwhBCAEQv//A4MgBEIQiHwhBCAEQv//A4MgBEIQiHwhBCAEpws=',
].join('')

/** A page of WebAssembly. */
const WASM_PAGE_BYTES = 64 * 1024

let compiled: object | undefined

/** Returns an instance with at least `bytes` of memory, or `undefined` without WebAssembly or SIMD. */
export function createChecksumInstance(bytes: number): ChecksumInstance | undefined {
  if (typeof WebAssembly !== 'object') return undefined
  try {
    compiled ??= new WebAssembly.Module(
      Uint8Array.from(atob(CHECKSUM_MODULE), (character) => character.charCodeAt(0)),
    )
    // Memory that never grows keeps its buffer.
    const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const instance = new WebAssembly.Instance(compiled, { netmem: { memory } })
    return { buffer: memory.buffer, sum: instance.exports.sum }
  } catch {
    // The engine has no SIMD, or no address space is left.
    return undefined
  }
}
