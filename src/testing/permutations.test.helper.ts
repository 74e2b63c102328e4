/** All orders of a few things, for tests of ends in any order. Not published. */

/** Returns all orders of `list`. */
export function permutations<T>(list: readonly T[]): T[][] {
  if (list.length === 0) return [[]]
  return list.flatMap((first, at) =>
    permutations(list.toSpliced(at, 1)).map((rest) => [first, ...rest]),
  )
}
