/** Buffers that shrink and grow, which the compiler's library does not know. Not published. */

export type Resizable = ArrayBuffer & { resize(bytes: number): void }

const ResizableBuffer = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => Resizable

/** Makes a buffer of `bytes` bytes that can be resized to at most `maxByteLength`. */
export function resizable(bytes: number, maxByteLength: number = bytes): Resizable {
  return new ResizableBuffer(bytes, { maxByteLength })
}
