/**
 * Bytes that the frags of one connection hold: those it has not delivered and those that the
 * application has not released. One object for each connection, so that a frag costs an addition
 * when it is made and one when it is released.
 */
export class FragAccount {
  /** Bytes held. Each copy counts `COPY_OVERHEAD` more. */
  held = 0
  /** Called after each release while set. */
  onRelease: (() => void) | undefined

  /** A frag is made. */
  charge(bytes: number): void {
    this.held += bytes
  }

  /** A frag is released, and its memory has gone back. */
  credit(bytes: number): void {
    this.held -= bytes
    this.onRelease?.()
  }
}
