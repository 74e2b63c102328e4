/** Options of every devmem connection, checked for all ways to open one. */

import { HandleError, LifetimeError, type OptionNames } from '../../../errors.ts'
import { checkOptionalBoolean, checkSignal, invalid } from '../../../net/internal.ts'
import type { Page } from '../../../netmem.ts'
import { PagePool } from '../../../pool/page-pool.ts'
import { checkIfindex, type Ifindex } from '../../sys/index.ts'
import type { BoundMemory } from './binding-use.ts'

/** Options of every devmem connection. */
export interface DevmemConnectionOptions {
  /** Pool for payload that comes in host memory: what arrived with headers, or on other queues. */
  readonly pool: PagePool<Page>
  /** Result of `bindRx()`, or several for one interface. For a connection that only sends, of `bindTx()`. */
  readonly binding: BoundMemory | readonly BoundMemory[]
  /**
   * Fails the connection with NETMEM_DEVMEM_READABLE when payload comes in host memory: this finds flows
   * that are steered elsewhere. False by default.
   */
  readonly strict?: boolean
  /** Destroys the connection when aborted, and gives back frags that were not received. */
  readonly signal?: AbortSignal
  /** Sends small writes at once, true by default. */
  readonly noDelay?: boolean
}

export const DEVMEM_CONNECTION_OPTIONS: OptionNames<DevmemConnectionOptions> = {
  pool: true,
  binding: true,
  strict: true,
  signal: true,
  noDelay: true,
}

/** Throws for options that no connection can have. Returns the number of the interface. */
export function checkDevmemOptions(options: DevmemConnectionOptions): Ifindex {
  const { pool, binding, strict, signal, noDelay } = options
  if (!(pool instanceof PagePool)) throw invalid('pool must be made by createPool().')
  if (pool.kind !== 'page') {
    throw new HandleError(
      'NETMEM_WRONG_KIND',
      'pool takes payload that comes in host memory: give it a pool of pages.',
    )
  }
  if (pool.destroyed) {
    throw new LifetimeError('NETMEM_POOL_DESTROYED', 'The pool is destroyed. Make another one.')
  }
  checkOptionalBoolean('strict', strict)
  checkOptionalBoolean('noDelay', noDelay)
  checkSignal(signal)
  const bindings: readonly unknown[] = Array.isArray(binding) ? binding : [binding]
  const numbers = new Set(bindings.map(ifindexOf))
  const [ifindex, ...others] = numbers
  if (ifindex === undefined || others.length > 0) {
    throw invalid('binding is what bindRx() resolves with, or several of one interface.')
  }
  return ifindex
}

function ifindexOf(binding: unknown): Ifindex {
  if (typeof binding === 'object' && binding !== null) {
    const id: unknown = Reflect.get(binding, 'id')
    const ifindex: unknown = Reflect.get(binding, 'ifindex')
    if (Number.isInteger(id) && typeof ifindex === 'number') return checkIfindex(ifindex)
  }
  throw invalid('binding must be what bindRx(), bindTx() or receiveDmaBuf() resolves with.')
}
