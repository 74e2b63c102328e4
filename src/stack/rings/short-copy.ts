/**
 * Copies of a few dozen bytes, as headers are: word by word. Here a loop over bytes took five times
 * as long, and `set` needs a view of just these bytes, which would be garbage for every frame.
 */

/** Beyond so many bytes `set` is faster. */
export const SHORT_COPY_BYTES = 128

/** The copy itself, for who keeps the views: `bytes` bytes from one place to another that does not overlap it. */
export function copyShort(
  from: DataView,
  fromOffset: number,
  bytes: number,
  to: DataView,
  toOffset: number,
): void {
  let at = 0
  // Little-endian: as the processor has it, so that nothing is turned round twice.
  for (; at <= bytes - 4; at += 4) {
    to.setInt32(toOffset + at, from.getInt32(fromOffset + at, true), true)
  }
  for (; at < bytes; at++) to.setInt8(toOffset + at, from.getInt8(fromOffset + at))
}

export class ShortCopy {
  // Of what was copied from and to last: mostly the same memory as before.
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
