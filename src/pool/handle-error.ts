import { HandleError } from '../errors.ts'
import { LAYOUT, unknownHandle } from '../netmem.ts'

/**
 * Says what is wrong with a handle that its pool does not have out. `state` is the slot's state,
 * `undefined` outside the pool's range. `putAlready` is true if the slot rests since this handle, or the
 * pool is gone.
 */
export function handleError(
  handle: number,
  kind: 'page' | 'net_iov',
  state: number | undefined,
  putAlready: boolean,
): HandleError {
  const tag = kind === 'page' ? 0 : LAYOUT.TAG
  if ((handle | 0) === handle && (handle & LAYOUT.TAG) !== tag) {
    return new HandleError(
      'NETMEM_WRONG_KIND',
      `The handle is a ${kind === 'page' ? 'net_iov' : 'page'}, and this pool has memory of the kind ${kind}.`,
    )
  }
  if ((handle | 0) !== handle || (state === undefined && !putAlready)) return unknownHandle(handle)
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
