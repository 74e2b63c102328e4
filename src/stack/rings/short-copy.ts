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
  readonly #sources = new RecentViews()
  readonly #targets = new RecentViews()

  copy(
    from: Uint8Array,
    fromOffset: number,
    bytes: number,
    to: Uint8Array,
    toOffset: number,
  ): void {
    copyShort(this.#sources.of(from), fromOffset, bytes, this.#targets.of(to), toOffset)
  }

  forget(): void {
    this.#sources.forget()
    this.#targets.forget()
  }
}

/** Views of the two memories used last: frames of two queues come in turn. */
class RecentViews {
  #bytes = NOTHING
  #view = NO_VIEW
  #bytesBefore = NOTHING
  #viewBefore = NO_VIEW

  of(bytes: Uint8Array): DataView {
    if (bytes !== this.#bytes) this.#change(bytes)
    return this.#view
  }

  forget(): void {
    this.#bytes = this.#bytesBefore = NOTHING
    this.#view = this.#viewBefore = NO_VIEW
  }

  #change(bytes: Uint8Array): void {
    const view = bytes === this.#bytesBefore ? this.#viewBefore : viewOf(bytes)
    this.#bytesBefore = this.#bytes
    this.#viewBefore = this.#view
    this.#bytes = bytes
    this.#view = view
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const NOTHING: Uint8Array = new Uint8Array(0)
const NO_VIEW: DataView = viewOf(NOTHING)
