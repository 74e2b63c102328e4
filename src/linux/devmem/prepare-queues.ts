/// <reference lib="esnext.disposable" preserve="true" />
/** Prepares RX queues of a card for devmem, and undoes that: the face of `queue-setup.ts` and `undo.ts`. */

import {
  ArgumentRangeError,
  ArgumentTypeError,
  checkInteger,
  checkString,
  type OptionNames,
  ownOptions,
} from '../../errors.ts'
import { checkMatch } from '../flow-rules.ts'
import { rtLink } from '../netlink/generated/rt-link.ts'
import { openNetlink } from '../netlink/open-netlink.ts'
import { openFlowRules } from '../open-flow-rules.ts'
import { checkIfindex, type Ifindex, LinuxError } from '../sys/index.ts'
import { checkQueues } from './bind.ts'
import { EthtoolCard } from './ethtool-card.ts'
import { type QueueSetup, setUpQueues } from './queue-setup.ts'
import type { FlowSteering, PreparedRule, SteeredFlow } from './steering.ts'
import { isInterfaceGone, undoAll } from './undo.ts'
import { UndoJournal } from './undo-journal.ts'

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

/** Queues that are prepared, until it is undone. */
export interface PreparedQueues extends QueueSetup, AsyncDisposable {
  /** Number of the interface. */
  readonly ifindex: number
  /**
   * Adds a rule for one more flow, such as a connection that was just accepted. The rule has five fields:
   * protocol, addresses and ports. `undo()` deletes it.
   *
   * @throws NETMEM_DEVMEM_NO_STEERING, NETMEM_FLOW_RULES_FULL, NETMEM_SYSCALL_FAILED,
   *   NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE, as a rejection.
   */
  steer(flow: SteeredFlow): Promise<PreparedRule>
  /**
   * Deletes a rule of {@link steer}. A second call does nothing.
   *
   * @throws NETMEM_SYSCALL_FAILED, as a rejection.
   */
  unsteer(rule: PreparedRule): Promise<void>
  /**
   * Restores the settings of the card. Unbind first: header split stays on while memory is bound. A
   * second call does nothing.
   *
   * @throws NETMEM_DEVMEM_UNDO, as a rejection, if a setting could not be restored. It can be called
   *   again then.
   */
  undo(): Promise<void>
}

/**
 * Sets a network card up for devmem: header split on (with hardware GRO where the driver wants it),
 * threshold 0, flow rules on, the queues taken out of the default RSS table, and rules that steer the
 * flows to them: to the queue that a flow names, else to one RSS context over several queues where the
 * card has contexts, else to the queues in turn. Undoes everything if a step is refused. Each step is in a journal before it is made: after a
 * crash `undoQueues`, or `netmem devmem undo`, restores the card.
 *
 * Takes CAP_NET_ADMIN in the user namespace that owns the network namespace of the card.
 *
 * @param options interface, queues and flows.
 * @throws NETMEM_DEVMEM_NO_INTERFACE, NETMEM_DEVMEM_DOWN, NETMEM_DEVMEM_QUEUE, NETMEM_DEVMEM_NO_QUEUE_LEFT, NETMEM_DEVMEM_NO_SPLIT,
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
  const card = await openCard(ifindex)
  let journal: UndoJournal | undefined
  try {
    journal = UndoJournal.create(stateFolder, ifindex)
    const { setup, steering } = await setUpQueues(card, journal, queues, flows)
    return prepared(card, journal, ifindex, setup, steering)
  } catch (error) {
    card[Symbol.dispose]()
    throw error
  }
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
  const journal = UndoJournal.open(stateFolder, ifindex)
  let card: EthtoolCard
  try {
    card = await openCard(ifindex)
  } catch (error) {
    // An interface that is gone has no settings, and one that comes back has another number.
    if (isInterfaceGone(error)) return journal.keep([])
    throw error
  }
  try {
    await undoAll(card, journal)
  } finally {
    card[Symbol.dispose]()
  }
}

async function openCard(ifindex: Ifindex): Promise<EthtoolCard> {
  const netlink = await openNetlink()
  try {
    const { ifname = '' } = await netlink.do(rtLink, 'getlink', { 'ifi-index': ifindex })
    return new EthtoolCard(netlink, await openFlowRules({ ifindex }), ifindex, ifname)
  } catch (cause) {
    netlink.close()
    if (!isInterfaceGone(cause)) throw cause
    throw new LinuxError(
      'NETMEM_DEVMEM_NO_INTERFACE',
      `There is no interface ${ifindex} in this network namespace: \`ip link\` lists them with their numbers.`,
      { cause, errno: 'ENODEV' },
    )
  }
}

function prepared(
  card: EthtoolCard,
  journal: UndoJournal,
  ifindex: Ifindex,
  setup: QueueSetup,
  steering: FlowSteering,
): PreparedQueues {
  let undone = false
  const undo = async (): Promise<void> => {
    if (undone) return
    await steering.settled()
    await undoAll(card, journal)
    undone = true
    card[Symbol.dispose]()
  }
  const steer = async (flow: SteeredFlow): Promise<PreparedRule> => {
    const queues = setup.queues.map(({ queue }) => queue)
    checkFlow(flow, queues)
    return steering.add(flow)
  }
  const unsteer = (rule: PreparedRule): Promise<void> => steering.delete(rule)
  return { ...setup, ifindex, steer, unsteer, undo, [Symbol.asyncDispose]: undo }
}

function checkFolder(path: string): void {
  checkString('stateFolder', path, 'the path of a folder')
}

const FLOW_NAMES: OptionNames<SteeredFlow> = {
  type: true,
  sourceAddress: true,
  destinationAddress: true,
  sourcePort: true,
  destinationPort: true,
  queue: true,
}

function checkFlows(flows: readonly SteeredFlow[], queues: readonly number[]): void {
  if (!Array.isArray(flows)) {
    throw new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', 'flows is an array of flows to steer.')
  }
  for (const flow of flows) checkFlow(flow, queues)
}

/** Throws for a flow that no rule can steer, before the card is touched. */
function checkFlow(flow: SteeredFlow, queues: readonly number[]): void {
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
