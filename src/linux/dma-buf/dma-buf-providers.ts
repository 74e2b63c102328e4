/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Providers over a dma-buf: pages that the host maps, or net_iovs that it does not. Which of them a
 * dma-buf serves is in the provider's type.
 */

import { ArgumentRangeError, LifetimeError } from '../../errors.ts'
import type { Binding, NetIov, Netmem, Page } from '../../netmem.ts'
import type { MemoryProvider, NetIovProvider, PageProvider } from '../../pool/memory-provider.ts'
import { createSlotAllocator } from '../../providers/slot-allocator.ts'
import type { DmaBuf, DmaBufAccess, DmaBufSync } from './dma-buf.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DMABUF_UNBOUND: 'LifetimeError'
  }
}

/** Lifetime of a provider that owns a dma-buf. */
interface OwnsDmaBuf extends Disposable {
  /** The provider's dma-buf, which it owns. */
  readonly dmabuf: DmaBuf
  /** Closes the dma-buf, once the pool that has the provider is destroyed. */
  readonly close: () => void
}

/** Pages of a dma-buf, which the host maps. */
export interface DmaBufPageProvider extends PageProvider, OwnsDmaBuf {
  readonly kind: 'page'
  /** Brackets access of the host to memory that a device uses too: see {@link DmaBuf.sync}. */
  readonly sync: (access: DmaBufAccess) => DmaBufSync
}

/** net_iovs of a dma-buf, which the host does not map. */
export interface DmaBufNetIovProvider extends NetIovProvider, OwnsDmaBuf {
  readonly kind: 'net_iov'
  /**
   * Says to which binding the net_iovs belong: call it with what `bindRx` or `bindTx` gave for this
   * provider's `dmabuf`. Until then `binding` throws NETMEM_DMABUF_UNBOUND.
   */
  readonly bindTo: (binding: Binding) => void
}

/** A mapping of at most 4 GiB lies in one memory of WebAssembly. */
const MAX_MAPPED_BYTES = 2 ** 32

/** Throws NETMEM_OUT_OF_RANGE for pages that the host cannot map in one piece. */
export function checkMappable(bytes: number): void {
  if (bytes <= MAX_MAPPED_BYTES) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `The host maps at most 4 GiB of a dma-buf, not ${bytes} bytes. Make several providers.`,
  )
}

/** Maps a dma-buf, and makes pages of it. Closes the dma-buf if that fails. */
export function pagesOf(dmabuf: DmaBuf, pageSize: number, shared: boolean): DmaBufPageProvider {
  return unlessItFails(dmabuf, () => {
    const release = dmabuf.claim('page')
    const { bytes, unmap } = dmabuf.map({ shared })
    const { buffer, byteOffset } = bytes
    const capacity = dmabuf.bytes / pageSize
    const { slot, ...operations } = createSlotAllocator<Page>(capacity)
    const lifetime = endOf(dmabuf, operations, () => {
      unmap()
      release()
    })
    return {
      kind: 'page',
      pageSize,
      capacity,
      ...operations,
      ...lifetime,
      // The memory stays after unmap(), and is no longer the dma-buf's.
      mayMove: false,
      bytes: (page) => new Uint8Array(buffer, byteOffset + slot(page) * pageSize, pageSize),
      sync: (access) => dmabuf.sync(access),
      ...(buffer instanceof ArrayBuffer ? {} : { shared: { buffer, offset: byteOffset } }),
    }
  })
}

/** Makes net_iovs of a dma-buf. */
export function netIovsOf(dmabuf: DmaBuf, pageSize: number): DmaBufNetIovProvider {
  return unlessItFails(dmabuf, () => {
    const release = dmabuf.claim('net_iov')
    const capacity = dmabuf.bytes / pageSize
    const { slot, ...operations } = createSlotAllocator<NetIov>(capacity)
    let binding: Binding | undefined
    return {
      kind: 'net_iov',
      pageSize,
      capacity,
      ...operations,
      ...endOf(dmabuf, operations, release),
      get binding() {
        if (binding !== undefined) return binding
        throw new LifetimeError(
          'NETMEM_DMABUF_UNBOUND',
          'No device has this dma-buf yet: bind it with bindRx() or bindTx(), and pass the binding to bindTo().',
        )
      },
      bindTo: (given) => {
        binding = given
      },
      offset: (iov) => slot(iov) * pageSize,
    }
  })
}

type ProviderOperations<M extends Netmem> = Pick<MemoryProvider<M>, 'init' | 'destroy'>

/** Ends a provider once it is closed and no pool uses it. */
function endOf<M extends Netmem>(
  dmabuf: DmaBuf,
  operations: ProviderOperations<M>,
  release: () => void,
): ProviderOperations<M> & OwnsDmaBuf {
  let inUse = false
  let closing = false
  const end = (): void => {
    release()
    dmabuf.close()
  }
  const close = (): void => {
    if (closing) return
    closing = true
    if (!inUse) end()
  }
  return {
    dmabuf,
    close,
    [Symbol.dispose]: close,
    init: (slots) => {
      if (closing) {
        throw new LifetimeError(
          'NETMEM_DMABUF_CLOSED',
          'This provider is closed, and its dma-buf with it. Make another one.',
        )
      }
      operations.init(slots)
      inUse = true
    },
    destroy: () => {
      operations.destroy()
      inUse = false
      if (closing) end()
    },
  }
}

function unlessItFails<T>(dmabuf: DmaBuf, make: () => T): T {
  try {
    return make()
  } catch (error) {
    dmabuf.close()
    throw error
  }
}
