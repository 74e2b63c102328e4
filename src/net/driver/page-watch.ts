/**
 * Takes posted pages back from connections that have gone idle. No event follows the last read of a
 * burst, so each connection with a posted page is asked every few milliseconds.
 */

/** A round of the event loop would do, but asking for one keeps the loop from sleeping between reads. */
const LOOK_MS = 5

/** A connection with a posted page. */
export interface PagePoster {
  /** Called every few milliseconds. False ends the watch. */
  stillReading(): boolean
}

const watched = new Set<PagePoster>()
let looking = false

/** Asks `poster.stillReading()` every few milliseconds until it returns false. */
export function watchPostedPage(poster: PagePoster): void {
  watched.add(poster)
  if (looking) return
  looking = true
  setTimeout(look, LOOK_MS).unref()
}

function look(): void {
  for (const poster of watched) if (!poster.stillReading()) watched.delete(poster)
  looking = watched.size > 0
  if (looking) setTimeout(look, LOOK_MS).unref()
}
