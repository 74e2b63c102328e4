import { applicationStack } from '../../../pool/application-stack.ts'
import { type DeviceFrag, type Frag, traceFrag } from '../../../pool/frag.ts'
import type { BindingUse, BoundMemory } from './binding-use.ts'
import type { TokenGroup } from './token-leaks.ts'
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
  declare readonly group: TokenGroup
  /** Undefined once released. */
  declare returns: TokenReturns | undefined

  constructor(
    use: BindingUse,
    offset: number,
    length: number,
    token: number,
    returns: TokenReturns,
    group: TokenGroup,
  ) {
    this.kind = 'net_iov'
    this.binding = use.binding
    this.offset = offset
    this.length = length
    this.token = token
    this.use = use
    this.returns = returns
    this.group = group
    group.record.out++
  }

  release(): void {
    const { returns } = this
    if (returns === undefined) return
    this.returns = undefined
    this.group.record.out--
    returns.release(this.token, this.use)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

/**
 * Wraps the answer to a receiver of a pool with `traceLeaks`. Reports name the stack of the call that
 * asked for the frag.
 */
export function tracedDelivery(
  answer: (frag: Frag | undefined) => void,
  label: string,
): (frag: Frag | undefined) => void {
  const stack = applicationStack()
  return (frag) => {
    if (frag instanceof TokenFrag) frag.group.record.stack = stack
    else if (frag?.kind === 'page') traceFrag(frag, label, stack)
    answer(frag)
  }
}
