/// <reference lib="esnext.disposable" preserve="true" />
/** Prepares RX queues of a card for devmem, and undoes that: the face of `card-changes.ts`, which is loaded by the first call. */

import { checkString, type OptionNames, ownOptions } from '../../errors.ts'
import { checkIfindex } from '../sys/index.ts'
import { checkQueues } from './bind.ts'
import { checkFlows } from './check-flows.ts'
import type { PreparedQueues } from './queue-setup.ts'
import type { SteeredFlow } from './steering.ts'

/** Options of {@link prepareQueues}. */
export interface PrepareQueuesOptions {
  /** Number of the interface. */
  readonly ifindex: number
  /** RX queues to prepare, each once. At least one queue of the interface has to be left. */
  readonly queues: readonly number[]
  /** Flows that are to reach the queues, such as `{ type: 'tcp4', destinationPort: 5201 }`. None by default. */
  readonly flows?: readonly SteeredFlow[]
  /** Folder of the journal that undoes the changes after a crash. `/run/netmem` by default. */
  readonly stateFolder?: string
}

/** Options of {@link undoQueues}. */
export interface UndoQueuesOptions {
  /** Number of the interface. */
  readonly ifindex: number
  /** Folder of the journal, as `prepareQueues` was given it. */
  readonly stateFolder?: string
}

const NAMES: OptionNames<PrepareQueuesOptions> = {
  ifindex: true,
  queues: true,
  flows: true,
  stateFolder: true,
}
const UNDO_NAMES: OptionNames<UndoQueuesOptions> = { ifindex: true, stateFolder: true }

/** Emptied by a reboot, which resets the card as well. */
const STATE_FOLDER = '/run/netmem'

/**
 * Sets a network card up for devmem: header split on (with hardware GRO where the driver wants it),
 * threshold 0, flow rules on, and the queues taken out of the default RSS table. Rules steer the flows
 * to the queues. A flow goes to the queue that it names. Others go to one RSS context over several
 * queues where the card has contexts, else to the queues in turn. It undoes everything if a step is
 * refused. Each step is in a journal before it is made, so that `undoQueues`, or `netmem devmem undo`,
 * restores the card after a crash.
 *
 * Takes CAP_NET_ADMIN in the user namespace that owns the network namespace of the card.
 *
 * @param options interface, queues and flows.
 * @throws NETMEM_DEVMEM_NO_INTERFACE, NETMEM_DEVMEM_DOWN, NETMEM_DEVMEM_QUEUE,
 *   NETMEM_DEVMEM_NO_QUEUE_LEFT, NETMEM_DEVMEM_NO_SPLIT,
 *   NETMEM_DEVMEM_NO_STEERING, NETMEM_DEVMEM_FEATURE, NETMEM_DEVMEM_PREPARED,
 *   NETMEM_FLOW_RULES_FULL, NETMEM_NETLINK_REFUSED, NETMEM_SYSCALL_FAILED, NETMEM_INVALID_ARGUMENT,
 *   NETMEM_OUT_OF_RANGE or NETMEM_LINUX_UNAVAILABLE, as a rejection.
 *
 * @example
 * ```ts
 * import { bindRx, createUdmabuf, prepareQueues } from 'netmem/linux'
 *
 * const dmabuf = createUdmabuf({ bytes: 16 * 2 ** 20 })
 * const flows = [{ type: 'tcp4' as const, destinationPort: 5201 }]
 * const prepared = await prepareQueues({ ifindex: 2, queues: [3], flows })
 * const binding = await bindRx({ ifindex: 2, queues: [3], dmabuf })
 * binding.close()
 * await prepared.undo()
 * ```
 */
export async function prepareQueues(options: PrepareQueuesOptions): Promise<PreparedQueues> {
  const own = ownOptions('prepareQueues()', options, NAMES)
  const { queues, flows = [], stateFolder = STATE_FOLDER } = own
  const ifindex = checkIfindex(own.ifindex)
  checkQueues(queues)
  checkFolder(stateFolder)
  checkFlows(flows, queues)
  const { changeCard } = await import('./card-changes.ts')
  return changeCard(ifindex, queues, flows, stateFolder)
}

/**
 * Restores a card that a process prepared and then ended without `undo()`, by its journal.
 *
 * @param options interface.
 * @throws NETMEM_DEVMEM_NOT_PREPARED if there is nothing to undo, NETMEM_DEVMEM_PREPARED while the
 *   process runs, NETMEM_DEVMEM_UNDO, NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE or
 *   NETMEM_LINUX_UNAVAILABLE, as a rejection.
 *
 * @example
 * ```ts
 * import { undoQueues } from 'netmem/linux'
 *
 * await undoQueues({ ifindex: 2 })
 * ```
 */
export async function undoQueues(options: UndoQueuesOptions): Promise<void> {
  const own = ownOptions('undoQueues()', options, UNDO_NAMES)
  const { stateFolder = STATE_FOLDER } = own
  const ifindex = checkIfindex(own.ifindex)
  checkFolder(stateFolder)
  const { restoreCard } = await import('./card-changes.ts')
  return restoreCard(ifindex, stateFolder)
}

function checkFolder(path: string): void {
  checkString('stateFolder', path, 'the path of a folder')
}
