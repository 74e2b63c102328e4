/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Sets a card up for devmem: header split on, flows steered to the queues, everything else kept off
 * them (Linux, Documentation/networking/devmem.rst).
 */

import { LinuxError } from '../sys/index.ts'
import type { QueueInterrupt, RingSettings } from './card-settings.ts'
import type { CardControl } from './ethtool-card.ts'
import {
  FlowSteering,
  type PreparedRule,
  type SteeredFlow,
  turnFeatureOn,
  turnRulesOn,
} from './steering.ts'
import { undoAll } from './undo.ts'
import type { UndoJournal, UndoStep } from './undo-journal.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DEVMEM_NO_SPLIT: 'LinuxError'
    NETMEM_DEVMEM_NO_QUEUE_LEFT: 'LinuxError'
  }
}

/** Feature that mlx5 wants before header split. K: mellanox/mlx5/core/en_ethtool.c. */
const HARDWARE_GRO = 'rx-gro-hw'

/** A queue that is set up, and the processors that handle its interrupts. */
export interface PreparedQueue extends QueueInterrupt {
  /** Number of the queue. */
  readonly queue: number
}

/** Result of the set-up. */
export interface QueueSetup {
  /** Queues in the order in which they were named. */
  readonly queues: readonly PreparedQueue[]
  /** NUMA node of the card, or undefined where there is but one. */
  readonly numaNode: number | undefined
  /** RSS context over the queues, or undefined if rules name queues. */
  readonly context: number | undefined
  /** Rules in the order of the flows. */
  readonly rules: readonly PreparedRule[]
  /** False if the card has no RSS table, so that other flows may reach the queues. */
  readonly exclusive: boolean
}

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

/** Makes the changes, each of them in the journal first. Undoes them if one is refused. */
export async function setUpQueues(
  card: CardControl,
  journal: UndoJournal,
  queues: readonly number[],
  flows: readonly SteeredFlow[],
): Promise<{ readonly setup: QueueSetup; readonly steering: FlowSteering }> {
  try {
    await checkQueues(card, queues)
    await turnSplitOn(card, journal)
    if (flows.length > 0) await turnRulesOn(card, journal)
    const exclusive = await leaveQueues(card, journal, queues)
    const context = await makeContext(card, journal, queues, flows)
    const steering = new FlowSteering(card, journal, queues, context)
    const rules: PreparedRule[] = []
    for (const flow of flows) rules.push(await steering.add(flow))
    const prepared: PreparedQueue[] = []
    for (const queue of queues) prepared.push({ queue, ...(await card.interrupt(queue)) })
    const numaNode = await card.numaNode()
    return { setup: { queues: prepared, numaNode, context, rules, exclusive }, steering }
  } catch (error) {
    // The refusal is the error to tell. What cannot be undone stays in the journal.
    await undoAll(card, journal).catch(() => undefined)
    throw error
  }
}

async function checkQueues(card: CardControl, queues: readonly number[]): Promise<void> {
  const count = await card.rxQueues()
  if (count === 0) {
    throw new LinuxError(
      'NETMEM_DEVMEM_DOWN',
      'The interface is down, and has no queues until it is up: `ip link set INTERFACE up`.',
    )
  }
  const missing = queues.find((queue) => queue >= count)
  if (missing !== undefined) {
    throw new LinuxError(
      'NETMEM_DEVMEM_QUEUE',
      `The interface has the RX queues 0 to ${count - 1}, and not ${missing}. Name one of these, or add some: \`ethtool -L\`.`,
    )
  }
  if (queues.length < count) return
  throw new LinuxError(
    'NETMEM_DEVMEM_NO_QUEUE_LEFT',
    `All ${count} RX queues would serve device memory, and none other traffic. Leave one out, or add queues: \`ethtool -L\`.`,
  )
}

async function turnSplitOn(card: CardControl, journal: UndoJournal): Promise<void> {
  const before = await card.rings()
  if (before.tcpDataSplit === undefined) {
    throw new LinuxError(
      'NETMEM_DEVMEM_NO_SPLIT',
      'The driver has no tcp-data-split, which device memory needs. Take a card that does devmem TCP, such as gve, bnxt, mlx5 or fbnic.',
    )
  }
  // Set in any case: bnxt reports `enabled` when it splits for other reasons, and bind-rx looks at the
  // configuration (K: net/core/netdev_rx_queue.c). The kernel ignores settings without a change.
  const wanted: RingSettings = {
    tcpDataSplit: 'enabled',
    ...(before.hdsThresh === undefined || before.hdsThresh === 0 ? {} : { hdsThresh: 0 }),
  }
  const undo: UndoStep = { kind: 'rings', settings: before }
  journal.add(undo)
  try {
    await card.setRings(wanted)
  } catch (refusal) {
    journal.dropLast()
    if ((await card.feature(HARDWARE_GRO)) !== false) throw refusal
    // mlx5 splits headers with its hardware GRO alone.
    await turnFeatureOn(card, journal, HARDWARE_GRO)
    journal.add(undo)
    await card.setRings(wanted)
  }
}

/** Takes the queues out of the default table. Resolves to false for a card without one. */
async function leaveQueues(
  card: CardControl,
  journal: UndoJournal,
  queues: readonly number[],
): Promise<boolean> {
  const table = await card.table()
  if (table === undefined) return false
  if (!table.some((queue) => queues.includes(queue))) return true
  const count = await card.rxQueues()
  const others = Array.from({ length: count }, (_, queue) => queue).filter(
    (queue) => !queues.includes(queue),
  )
  // The kernel's own table follows the number of queues, and one that was set does not.
  const ofDriver = table.every((queue, index) => queue === index % count)
  journal.add({ kind: 'table', table: ofDriver ? 'default' : table })
  await card.setTable(spread(others, table.length))
  return true
}

/** Makes one RSS context over several queues, for flows without a queue. Some cards have no contexts. */
async function makeContext(
  card: CardControl,
  journal: UndoJournal,
  queues: readonly number[],
  flows: readonly SteeredFlow[],
): Promise<number | undefined> {
  const size = (await card.table())?.length
  const needsOne = flows.some(({ queue }) => queue === undefined)
  if (queues.length === 1 || !needsOne || size === undefined) return undefined
  const table = spread(queues, size)
  const before = [...(await card.contexts()).keys()]
  journal.add({ kind: 'context', table, before })
  const context = await card.createContext(table)
  if (context === undefined) journal.dropLast()
  else journal.replaceLast({ kind: 'context', context, table, before })
  return context
}

/** A table of `size` entries that names `queues` in turn. */
function spread(queues: readonly number[], size: number): number[] {
  return Array.from({ length: size }, (_, index) => queues[index % queues.length] ?? 0)
}
