/**
 * Makes frags of bytes that another client or server has received: request bodies of `node:http`,
 * and bodies of responses that are decoded. They take memory in turn with the connections of the
 * pool.
 */

import { LifetimeError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import { RX_COPYBREAK } from '../../pool/copies.ts'
import { copiedFrag, fragOf, type HostFrag } from '../../pool/frag.ts'
import { FragAccount } from '../../pool/frag-account.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { type PageConsumer, PageSupply } from '../driver/page-supply.ts'

export class ChunkFrags implements PageConsumer {
  readonly referenced = true
  readonly account: FragAccount = new FragAccount()
  readonly #pool: PagePool<Page>
  readonly #supply: PageSupply
  #dry = false
  #resolve: (() => void) | undefined

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
    const frag = small ? undefined : this.#intoPage(bytes)
    if (frag !== undefined) return frag
    if (this.#supply.mayRead(this, this.#dry)) {
      return copiedFrag(pool, bytes.subarray(0, RX_COPYBREAK), this.account)
    }
    if (!this.#dry) {
      this.#dry = true
      this.#supply.wait(this)
    }
    return undefined
  }

  /** Resolves when {@link take} may have memory again. */
  whenAvailable(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.account.onRelease = resolve
    })
  }

  /** Leaves the queue for memory. */
  end(): void {
    this.account.onRelease = undefined
    this.#supply.leaveQueue(this)
  }

  memoryBack(): void {
    this.#dry = false
    this.#resolve?.()
  }

  copyRoomBack(): void {
    this.#resolve?.()
  }

  #intoPage(bytes: Uint8Array): HostFrag | undefined {
    const reserved = this.#dry ? undefined : this.#supply.take(this, bytes.byteLength)
    this.#dry = reserved === undefined
    if (reserved === undefined) return undefined
    const { page, offset } = reserved
    try {
      this.#pool.bytes(page).set(bytes, offset)
    } catch (error) {
      reserved.cancel()
      throw error
    }
    return fragOf(reserved.commit(bytes.byteLength), offset, bytes.byteLength, this.account)
  }
}
