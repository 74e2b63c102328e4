/// <reference lib="esnext.disposable" preserve="true" />
/** Changes a card for devmem and undoes that, with a journal: {@link prepareQueues} after its checks. */

import { rtLink } from '../netlink/generated/rt-link.ts'
import { openNetlink } from '../netlink/open-netlink.ts'
import { openFlowRules } from '../open-flow-rules.ts'
import type { Ifindex } from '../sys/index.ts'
import { checkFlow } from './check-flows.ts'
import { EthtoolCard } from './ethtool-card.ts'
import { isInterfaceGone, noInterface } from './interface-gone.ts'
import { type PreparedQueues, type QueueSetup, setUpQueues } from './queue-setup.ts'
import type { FlowSteering, PreparedRule, SteeredFlow } from './steering.ts'
import { undoAll } from './undo.ts'
import { UndoJournal } from './undo-journal.ts'

/** Sets a card up, or leaves it as it was if a step is refused. */
export async function changeCard(
  ifindex: Ifindex,
  queues: readonly number[],
  flows: readonly SteeredFlow[],
  stateFolder: string,
): Promise<PreparedQueues> {
  const card = await openCard(ifindex)
  try {
    const journal = UndoJournal.create(stateFolder, ifindex)
    const { setup, steering } = await setUpQueues(card, journal, queues, flows)
    return prepared(card, journal, ifindex, setup, steering)
  } catch (error) {
    card[Symbol.dispose]()
    throw error
  }
}

/** Restores a card by the journal of a process that has ended. */
export async function restoreCard(ifindex: Ifindex, stateFolder: string): Promise<void> {
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
    throw isInterfaceGone(cause) ? noInterface(ifindex, cause) : cause
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
