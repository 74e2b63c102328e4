/**
 * Copies of a few dozen bytes, such as headers, word by word. A loop over bytes took five times as
 * long. `set` needs a view of just these bytes, which would be garbage for every frame.
 */

/** Bytes beyond which `set` is faster. */
export const SHORT_COPY_BYTES = 128

/** Copies `bytes` bytes between two views that do not overlap, for callers that keep the views. */
export function copyShort(
  from: DataView,
  fromOffset: number,
  bytes: number,
  to: DataView,
  toOffset: number,
): void {
  let at = 0
  // Little-endian, as in the processor: no bytes are swapped.
  for (; at <= bytes - 4; at += 4) {
    to.setInt32(toOffset + at, from.getInt32(fromOffset + at, true), true)
  }
  for (; at < bytes; at++) to.setInt8(toOffset + at, from.getInt8(fromOffset + at))
}

export class ShortCopy {
  // Views of the memory copied from and to last, which is mostly the same again.
  #from: Uint8Array = NOTHING
  #to: Uint8Array = NOTHING
  #source: DataView = viewOf(NOTHING)
  #target: DataView = this.#source

  copy(
    from: Uint8Array,
    fromOffset: number,
    bytes: number,
    to: Uint8Array,
    toOffset: number,
  ): void {
    if (from !== this.#from) {
      this.#from = from
      this.#source = viewOf(from)
    }
    if (to !== this.#to) {
      this.#to = to
      this.#target = viewOf(to)
    }
    copyShort(this.#source, fromOffset, bytes, this.#target, toOffset)
  }

  forget(): void {
    this.#from = this.#to = NOTHING
    this.#source = this.#target = viewOf(NOTHING)
  }
}

const NOTHING = new Uint8Array(0)

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
