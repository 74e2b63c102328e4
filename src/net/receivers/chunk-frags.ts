/**
 * Makes frags of bytes that another client or server has received: request bodies of `node:http`,
 * and bodies of responses that are decoded. They take memory in turn with the connections of the
 * pool.
 */

import { LifetimeError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import { RX_COPYBREAK } from '../../pool/copies.ts'
import { copiedFrag, fragIn, type HostFrag } from '../../pool/frag.ts'
import { FragAccount } from '../../pool/frag-account.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { type PageConsumer, PageSupply } from '../driver/page-supply.ts'

export class ChunkFrags implements PageConsumer {
  readonly referenced = true
  readonly account: FragAccount = new FragAccount()
  readonly #pool: PagePool<Page>
  readonly #supply: PageSupply
  #resolve = (): void => {}

  constructor(pool: PagePool<Page>) {
    this.#pool = pool
    this.#supply = PageSupply.of(pool)
  }

  /**
   * Makes a frag of the first bytes of `chunk`, at most a page, or `undefined` if there is no
   * memory for them.
   *
   * @throws NETMEM_POOL_DESTROYED.
   */
  take(chunk: Uint8Array): HostFrag | undefined {
    const pool = this.#pool
    if (pool.destroyed) {
      throw new LifetimeError('NETMEM_POOL_DESTROYED', 'The pool is destroyed. Make another one.')
    }
    const bytes = chunk.subarray(0, pool.pageSize)
    const small = bytes.byteLength <= RX_COPYBREAK && this.#supply.mayCopy
    const reserved = small ? undefined : this.#supply.take(this, bytes.byteLength)
    if (reserved !== undefined) return fragIn(reserved, bytes, this.account)
    // A consumer that may not read is woken when it may.
    if (!this.#supply.mayRead(this)) return undefined
    return copiedFrag(pool, bytes.subarray(0, RX_COPYBREAK), this.account)
  }

  /** Resolves when {@link take} may have memory again. */
  whenAvailable(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  readonly wake = (): void => this.#resolve()

  /** Leaves the queue for memory. */
  end(): void {
    this.#supply.leaveQueue(this)
  }
}
