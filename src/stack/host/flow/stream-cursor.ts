/** Position in a stream of bytes beside its TCP sequence number: positions do not wrap around. */

export class StreamCursor {
  /** Bytes of the stream before the cursor. */
  position = 0
  /** Sequence number at the cursor, as signed 32-bit. */
  seq = 0

  /** Returns the position of a sequence number, which is at most 2^31 away. */
  positionOf(seq: number): number {
    return this.position + ((seq - this.seq) | 0)
  }

  /** Moves on by `bytes`, or back where it is negative. */
  advance(bytes: number): void {
    this.position += bytes
    this.seq = (this.seq + bytes) | 0
  }
}
