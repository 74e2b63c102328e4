import { HandleError } from '../errors.ts'
import { HANDLE_MASK, INDEX_MASK, INDEX_SHIFT, isClaimed, TAG } from '../netmem.ts'

/**
 * Says what is wrong with a handle that its pool does not have out. `state` is the slot's state,
 * `undefined` outside the pool's range; `putAlready` when the slot rests since this handle.
 */
export function handleError(
  handle: unknown,
  kind: 'page' | 'net_iov',
  state: number | undefined,
  putAlready: boolean,
): HandleError {
  if (typeof handle !== 'number' || (handle & HANDLE_MASK) !== handle) {
    return new HandleError(
      'NETMEM_WRONG_KIND',
      `Not a handle but ${typeof handle === 'number' ? handle : typeof handle}. Pass what alloc() returned.`,
    )
  }
  const tag = kind === 'page' ? 0 : TAG
  if ((handle & TAG) !== tag) {
    return new HandleError(
      'NETMEM_WRONG_KIND',
      `The handle is a ${kind === 'page' ? 'net_iov' : 'page'}, and this pool has memory of the kind ${kind}.`,
    )
  }
  if (state === undefined) {
    const known = isClaimed((handle >> INDEX_SHIFT) & INDEX_MASK)
    return new HandleError(
      'NETMEM_FOREIGN_HANDLE',
      `The handle belongs to ${known ? 'another pool' : 'no pool of this thread'}. Give memory back to the pool that handed it out.`,
    )
  }
  if (putAlready) {
    return new HandleError(
      'NETMEM_DOUBLE_PUT',
      'The memory has been given back already. Each reference is put once, and not used afterwards.',
    )
  }
  return new HandleError(
    'NETMEM_STALE_HANDLE',
    'The handle is from an earlier use of this memory, which others may hold now. Drop a handle when you put it.',
  )
}
