import { bits, type Exactly, type Netmem, ownerOf, unknownHandle } from '../netmem.ts'
import { PoolCore } from './pool-core.ts'

/** Returns the core of the pool that `m` is from. Throws as `release` does. */
export function coreOf(m: Exactly<Netmem>): PoolCore {
  const owner = ownerOf(m)
  if (owner instanceof PoolCore) return owner
  throw unknownHandle(bits(m))
}
