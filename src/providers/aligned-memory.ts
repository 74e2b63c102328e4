/**
 * Memory that begins at a memory page of the processor. An engine takes a large ArrayBuffer from malloc,
 * which begins 16 bytes into a page. On some processors the kernel copies to such an address at a third
 * of the speed. On AMD EPYC `rep movsb` is slow unless its destination is aligned (0.19 s of CPU per GB
 * at offset 0, 0.70 at 16, 0.23 at 128). JavaScript has one way to ask for it: the memory of a
 * WebAssembly instance, which engines map.
 */

export { COPY_ALIGNMENT } from '../pool/reservation.ts'

/** WebAssembly's page. */
const UNIT_BYTES = 64 * 1024
/** Units of the largest memory that WebAssembly makes. */
const MAX_UNITS = 65_536

// Optional, since some engines lack it. The compiler's library for the core does not declare it.
declare const WebAssembly: { readonly Memory: MemoryConstructor } | undefined

interface MemoryConstructor {
  new (units: MemoryUnits & { shared: true }): FixedMemory<SharedArrayBuffer>
  new (units: MemoryUnits): FixedMemory<ArrayBuffer>
}

interface MemoryUnits {
  initial: number
  maximum: number
}

const fixed = new WeakSet<ArrayBufferLike>()

/**
 * True for memory that stays in place while it is referenced: shared memory, and memory of {@link
 * fixedMemory}. False for every other ArrayBuffer, even of a WebAssembly memory, since JavaScript cannot
 * tell it from plain memory.
 */
export function cannotMove(buffer: ArrayBufferLike): boolean {
  return fixed.has(buffer) || !(buffer instanceof ArrayBuffer)
}

/** True for memory that begins at a memory page: of {@link fixedMemory}, and of buffers that can change their size. */
export function isMapped(buffer: ArrayBufferLike): boolean {
  return (
    fixed.has(buffer) ||
    Reflect.get(buffer, 'resizable') === true ||
    Reflect.get(buffer, 'growable') === true
  )
}

/** A `WebAssembly.Memory` that does not grow. */
export interface FixedMemory<Buffer extends ArrayBufferLike> {
  readonly buffer: Buffer
}

/** Returns at least `bytes` of aligned memory, or plain memory if WebAssembly cannot provide it. */
export function alignedBuffer(bytes: number): ArrayBuffer {
  return fixedMemory(bytes)?.buffer ?? new ArrayBuffer(bytes)
}

/** Returns at least `bytes` of aligned memory that threads share. */
export function alignedSharedBuffer(bytes: number): SharedArrayBuffer {
  return fixedSharedMemory(bytes)?.buffer ?? new SharedArrayBuffer(bytes)
}

/**
 * Makes at least `bytes` of aligned memory that cannot be detached. Returns `undefined` without address
 * space for it.
 */
export function fixedMemory(bytes: number): FixedMemory<ArrayBuffer> | undefined {
  return webAssemblyMemory(bytes, (Memory, units) => {
    return new Memory({ initial: units, maximum: units })
  })
}

/** Makes memory as {@link fixedMemory} does, for threads to share. */
export function fixedSharedMemory(bytes: number): FixedMemory<SharedArrayBuffer> | undefined {
  return webAssemblyMemory(bytes, (Memory, units) => {
    return new Memory({ initial: units, maximum: units, shared: true })
  })
}

function webAssemblyMemory<Buffer extends ArrayBufferLike>(
  bytes: number,
  make: (Memory: MemoryConstructor, units: number) => FixedMemory<Buffer>,
): FixedMemory<Buffer> | undefined {
  const units = Math.ceil(bytes / UNIT_BYTES)
  if (typeof WebAssembly !== 'object' || units > MAX_UNITS) return undefined
  try {
    const memory = make(WebAssembly.Memory, units)
    fixed.add(memory.buffer)
    return memory
  } catch {
    // The process lacks address space for it. Plain memory needs less.
    return undefined
  }
}

/** True for a `WebAssembly.Memory`: its bytes cannot be detached, and growing does not move them. */
export function isWebAssemblyMemory(value: unknown): boolean {
  return typeof WebAssembly === 'object' && value instanceof WebAssembly.Memory
}
