/**
 * Summary of a test, as the server yields it.
 */

import type { Measurement } from './meter.ts'
import type { Parameters } from './parameters.ts'
import type { SenderResults } from './results.ts'
import type { Address } from './transport.ts'

/** The result of a test, with everything measured until its end. */
export type Iperf3Summary = Measured &
  (
    | { readonly kind: 'completed'; readonly sender: SenderResults }
    /** The client's ctrl-C, or this server's end. */
    | { readonly kind: 'terminated'; readonly reason: string }
    /** The client asked for a feature that this server lacks, and got a refusal. */
    | { readonly kind: 'refused'; readonly reason: string }
    | { readonly kind: 'failed'; readonly reason: string }
  )

export interface Measured extends Measurement {
  readonly client: Address
  /** `undefined` if the client never sent its parameters. */
  readonly parameters: Parameters | undefined
}
