import { Random } from '../random.ts'

/** Makes `length` pseudo-random bytes, the same for one seed in each run. Misplaced ones are wrong ones. */
export function randomBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  const random = new Random(seed)
  for (let at = 0; at < length; at++) bytes[at] = random.next()
  return bytes
}
