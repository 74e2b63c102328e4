/**
 * Summary of a test, as the server yields it.
 */

import type { Ending } from './ending.ts'
import type { Measurement } from './meter.ts'
import type { Parameters } from './parameters.ts'
import type { SenderResults } from './results.ts'
import type { Address } from './transport.ts'

/** The result of a test, with everything measured until its end. */
export type Iperf3Summary = Measured &
  (
    | { readonly kind: 'completed'; readonly sender: SenderResults }
    | { readonly kind: Ending['kind']; readonly reason: string }
  )

export interface Measured extends Measurement {
  readonly client: Address
  /** `undefined` if the client never sent its parameters. */
  readonly parameters: Parameters | undefined
}
