/**
 * Schedule of ranges: the bytes that each connection asks for next. The body is cut into pieces. A
 * connection that has finished a piece takes the next one, so that a slow connection does not hold up the
 * others. Pure: `range-fetch.ts` does the work.
 */

/** A range of the body, from byte `from` up to byte `to`. */
export interface Piece {
  readonly from: number
  readonly to: number
  /** Bytes of it that have arrived. */
  done: number
}

/** Bytes of the first piece, which is asked for before anything is known, and of the smallest. */
export const FIRST_PIECE_BYTES: number = 1024 * 1024
const MOST_PIECE_BYTES = 64 * 1024 * 1024
/** Pieces for each connection, so that they end at about the same time. */
const PIECES_EACH = 4

export class RangeSchedule {
  readonly #pieces: Piece[]
  /** Index of the next piece that no connection has asked for. */
  #next = 0
  /** Pieces that a connection has begun and given up. */
  readonly #returned: Piece[] = []
  /** Index of the first piece that is not complete. */
  #firstOpen = 0
  #working: number
  /** Connections that have not retired. */
  connections: number
  /** Bytes that have arrived in all. */
  arrivedBytes = 0

  /**
   * Cuts a body of `bytes`, of which the first piece ends at `firstEnd`, for up to `connections`. The
   * first `next()` returns the first piece.
   */
  constructor(bytes: number, firstEnd: number, connections: number) {
    const ideal = Math.ceil(bytes / (connections * PIECES_EACH))
    const size = Math.max(FIRST_PIECE_BYTES, Math.min(MOST_PIECE_BYTES, ideal))
    this.#pieces = [{ from: 0, to: firstEnd, done: 0 }]
    for (let from = firstEnd; from < bytes; from += size) {
      this.#pieces.push({ from, to: Math.min(bytes, from + size), done: 0 })
    }
    this.connections = Math.min(connections, this.#pieces.length)
    this.#working = this.connections
  }

  /** The first byte that is missing. */
  get position(): number {
    const piece = this.#pieces[this.#firstOpen]
    return piece === undefined ? (this.#pieces.at(-1)?.to ?? 0) : piece.from + piece.done
  }

  /**
   * Returns the next piece to ask for, or `undefined` if none is left, which ends the connection's work.
   */
  next(): Piece | undefined {
    const piece = this.#returned.pop() ?? this.#pieces[this.#next++]
    if (piece === undefined) this.#working--
    return piece
  }

  /** Notes that the first `done` bytes of a piece have arrived. */
  arrived(piece: Piece, done: number): void {
    this.arrivedBytes += done - piece.done
    piece.done = done
    while (isComplete(this.#pieces[this.#firstOpen])) this.#firstOpen++
  }

  /**
   * Ends one connection's work and leaves its piece to the others. Returns false without any change if it
   * is the last connection.
   */
  retire(piece: Piece): boolean {
    if (this.#working === 1) return false
    this.#working--
    this.connections--
    this.#returned.push(piece)
    return true
  }
}

/** True for a piece whose bytes have all arrived. */
export function isComplete(piece: Piece | undefined): boolean {
  return piece !== undefined && piece.from + piece.done === piece.to
}
