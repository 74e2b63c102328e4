/** Restores the card that `netmem devmem undo` names. */

import { undoQueues } from '../../linux/devmem/prepare-queues.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { ifindexOf } from './interface.ts'

export async function restoreCardOf(
  output: Output,
  _signal: AbortSignal,
  name: string,
): Promise<CommandOutcome> {
  await undoQueues({ ifindex: await ifindexOf(name) })
  output.result(`${name}: settings restored`)
  return { report: { interface: name } }
}
