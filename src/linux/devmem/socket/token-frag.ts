import { applicationStack } from '../../../pool/application-stack.ts'
import { type DeviceFrag, type Frag, traceFrag } from '../../../pool/frag.ts'
import type { BoundMemory } from './binding-use.ts'
import type { TokenGroup } from './token-leaks.ts'

/** A frag of device memory that a socket received: its token gives the memory back. */
export class TokenFrag implements DeviceFrag {
  // Declared: fields that the class made would be stored twice. A frag is made for each packet, so what
  // frags of one receive share is in their group.
  declare readonly offset: number
  declare readonly length: number
  declare readonly token: number
  declare readonly group: TokenGroup
  declare isReleased: boolean

  constructor(offset: number, length: number, token: number, group: TokenGroup) {
    this.offset = offset
    this.length = length
    this.token = token
    this.group = group
    this.isReleased = false
    group.record.out++
  }

  get kind(): 'net_iov' {
    return 'net_iov'
  }

  get binding(): BoundMemory {
    return this.group.use.binding
  }

  release(): void {
    if (this.isReleased) return
    this.isReleased = true
    const { record, returns, use } = this.group
    record.out--
    returns.release(this.token, use)
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
