import type { DeviceFrag } from '../../../pool/frag.ts'
import type { BindingUse, BoundMemory } from './binding-use.ts'
import type { TokenReturns } from './token-returns.ts'

/** A frag of device memory that a socket received: its token gives the memory back. */
export class TokenFrag implements DeviceFrag {
  // Declared: fields that the class made would be stored twice. A frag is made for each packet.
  declare readonly kind: 'net_iov'
  declare readonly binding: BoundMemory
  declare readonly offset: number
  declare readonly length: number
  declare readonly token: number
  declare readonly use: BindingUse
  /** Undefined once released. */
  declare returns: TokenReturns | undefined

  constructor(
    use: BindingUse,
    offset: number,
    length: number,
    token: number,
    returns: TokenReturns,
  ) {
    this.kind = 'net_iov'
    this.binding = use.binding
    this.offset = offset
    this.length = length
    this.token = token
    this.use = use
    this.returns = returns
  }

  release(): void {
    const { returns } = this
    if (returns === undefined) return
    this.returns = undefined
    returns.release(this.token, this.use)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
