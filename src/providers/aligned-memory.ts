/**
 * Memory that begins at a memory page of the processor. An engine takes a large ArrayBuffer from
 * malloc, which begins 16 bytes into one, and on some processors the kernel copies to such an
 * address at a third of the speed (measured on AMD EPYC, where `rep movsb` is slow unless its
 * destination is aligned: 0.19 s of CPU per GB at offset 0, 0.70 at 16, 0.23 at 128).
 * JavaScript has one way to ask for it: the memory of a WebAssembly instance, which engines map.
 */

export { COPY_ALIGNMENT } from '../pool/reservation.ts'

/** WebAssembly's page. */
const UNIT_BYTES = 64 * 1024
/** Larger ones can't be had of WebAssembly. */
const MAX_UNITS = 65_536

// Not every engine has it, and the compiler's library for the core does not know it.
declare const WebAssembly:
  | {
      readonly Memory: {
        new (layout: {
          initial: number
          maximum: number
          shared: true
        }): { buffer: SharedArrayBuffer }
        new (layout: { initial: number; maximum: number }): { buffer: ArrayBuffer }
      }
    }
  | undefined

const immovable = new WeakSet<ArrayBufferLike>()

/**
 * True for memory that stays in place while it is referenced: shared memory, and what
 * {@link mappedBuffer} made. Of any other ArrayBuffer this cannot be told, a WebAssembly memory's included.
 */
export function cannotMove(buffer: ArrayBufferLike): boolean {
  return immovable.has(buffer) || !(buffer instanceof ArrayBuffer)
}

/** A `WebAssembly.Memory` that does not grow. */
export interface FixedMemory<Buffer extends ArrayBufferLike> {
  readonly buffer: Buffer
}

/** Returns at least `bytes` of aligned memory, or plain memory where WebAssembly has none. */
export function alignedBuffer(bytes: number): ArrayBuffer {
  return mappedBuffer(bytes) ?? new ArrayBuffer(bytes)
}

/**
 * Returns at least `bytes` of aligned memory that nothing can detach, the memory of a WebAssembly
 * instance; `undefined` where there is no address space for it.
 */
export function mappedBuffer(bytes: number): ArrayBuffer | undefined {
  return fixedMemory(bytes)?.buffer
}

/** As {@link mappedBuffer}, with the `WebAssembly.Memory` itself. */
export function fixedMemory(bytes: number): FixedMemory<ArrayBuffer> | undefined {
  const units = Math.ceil(bytes / UNIT_BYTES)
  try {
    if (typeof WebAssembly === 'object' && units <= MAX_UNITS) {
      const memory = new WebAssembly.Memory({ initial: units, maximum: units })
      immovable.add(memory.buffer)
      return memory
    }
  } catch {
    // No address space for it; plain memory needs less.
  }
  return undefined
}

/** True for a `WebAssembly.Memory`: nothing detaches its bytes, and growing leaves them where they are. */
export function isWebAssemblyMemory(value: unknown): boolean {
  return typeof WebAssembly === 'object' && value instanceof WebAssembly.Memory
}

/** Returns at least `bytes` of aligned memory that threads share. */
export function alignedSharedBuffer(bytes: number): SharedArrayBuffer {
  return fixedSharedMemory(bytes)?.buffer ?? new SharedArrayBuffer(bytes)
}

/** As {@link fixedMemory}, for memory that threads share. */
export function fixedSharedMemory(bytes: number): FixedMemory<SharedArrayBuffer> | undefined {
  const units = Math.ceil(bytes / UNIT_BYTES)
  try {
    if (typeof WebAssembly === 'object' && units <= MAX_UNITS) {
      return new WebAssembly.Memory({ initial: units, maximum: units, shared: true })
    }
  } catch {
    // No address space for it, as in fixedMemory.
  }
  return undefined
}
