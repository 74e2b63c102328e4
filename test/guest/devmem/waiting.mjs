// Limits for what the steps await.

/** Bounds a hang, never an event: a slow guest takes a small part of it. */
export const HANG_MS = 60_000
/** Waits for a promise, and names what hangs. */
export function within(ms, what, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it hangs: ${what}`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
/** Returns the code of the error that a promise is refused with, or `done`. */
export const codeOf = (promise) =>
  within(HANG_MS, 'a refusal', promise).then(
    () => 'done',
    (error) => error.code ?? String(error),
  )
