/**
 * Interrupts of a ring: one notification, when the NIC completes something that the driver has not seen.
 *
 * The driver waits first, then arms, then looks again. The NIC disarms first, then notifies. So an armed
 * driver waits already. Every notification meets it, also one that the NIC owed to an earlier wait.
 */

/**
 * Asks for one interrupt, as a driver.
 *
 * @param armed index of the word that is 1 while the driver wants an interrupt.
 * @param completed index of the word that counts completions.
 * @param seen count that the driver has seen.
 * @returns promise of the interrupt. `undefined` if the count is another one already.
 */
export function armInterrupt(
  words: Int32Array,
  armed: number,
  completed: number,
  seen: number,
): Promise<unknown> | undefined {
  const wait = Atomics.waitAsync(words, completed, seen)
  if (!wait.async) return undefined
  Atomics.store(words, armed, 1)
  if (Atomics.load(words, completed) === seen) return wait.value
  // The NIC may have looked before it was armed, so no interrupt would come: wake the wait.
  Atomics.notify(words, completed)
  return undefined
}

/** Interrupts a driver that has armed, as a NIC that has counted a completion. */
export function raiseInterrupt(words: Int32Array, armed: number, completed: number): void {
  if (Atomics.load(words, armed) !== 1) return
  Atomics.store(words, armed, 0)
  Atomics.notify(words, completed)
}
