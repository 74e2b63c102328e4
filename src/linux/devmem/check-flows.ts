/** Checks flows before a card is touched. */

import {
  ArgumentRangeError,
  ArgumentTypeError,
  checkInteger,
  type OptionNames,
  ownOptions,
} from '../../errors.ts'
import { checkMatch } from '../flow-rules.ts'
import type { SteeredFlow } from './steering.ts'

const FLOW_NAMES: OptionNames<SteeredFlow> = {
  type: true,
  sourceAddress: true,
  destinationAddress: true,
  sourcePort: true,
  destinationPort: true,
  queue: true,
}

/** Throws unless `flows` is an array of flows that rules can steer to `queues`. */
export function checkFlows(flows: readonly SteeredFlow[], queues: readonly number[]): void {
  if (!Array.isArray(flows)) {
    throw new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', 'flows is an array of flows to steer.')
  }
  for (const flow of flows) checkFlow(flow, queues)
}

/** Throws for a flow that no rule can steer to `queues`. */
export function checkFlow(flow: SteeredFlow, queues: readonly number[]): void {
  const { queue, ...match } = ownOptions('A flow of prepareQueues()', flow, FLOW_NAMES)
  checkMatch(match)
  if (queue === undefined) return
  checkInteger('queue', queue, 0, 2 ** 16 - 1)
  if (queues.includes(queue)) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `The flow is to reach queue ${queue}, which is none of the prepared queues ${queues.join()}.`,
  )
}
