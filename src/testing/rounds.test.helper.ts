/** Lengths of loops in tests: `npm run soak` makes them longer. */

/** Returns how often a test repeats what it usually repeats `usual` times. */
export function rounds(usual: number): number {
  return usual * Number(process.env['NETMEM_SOAK'] ?? 1)
}
