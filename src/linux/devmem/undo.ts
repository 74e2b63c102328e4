/** Undoes what a journal of prepareQueues() says, the last change first. */

import { LinuxError } from '../sys/index.ts'
import { type RingSettings, sameRule } from './card-settings.ts'
import type { CardControl } from './ethtool-card.ts'
import { isInterfaceGone } from './interface-gone.ts'
import type { UndoJournal, UndoStep } from './undo-journal.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DEVMEM_UNDO: 'LinuxError'
  }
}

/**
 * Undoes the steps of a journal, and removes it. Steps that are undone already count as done, and all
 * steps if the interface is gone, since its settings went with it. A step
 * that is refused stays in the journal, and the others are undone nevertheless.
 *
 * @throws NETMEM_DEVMEM_UNDO if a step was refused.
 */
export async function undoAll(card: CardControl, journal: UndoJournal): Promise<void> {
  const left: UndoStep[] = []
  const refusals: string[] = []
  for (const step of journal.steps.toReversed()) {
    try {
      await undo(card, step)
    } catch (error) {
      if (isInterfaceGone(error)) continue
      left.unshift(step)
      refusals.push(error instanceof Error ? error.message : String(error))
    }
  }
  journal.keep(left)
  if (left.length === 0) return
  throw new LinuxError(
    'NETMEM_DEVMEM_UNDO',
    `Not everything could be undone: ${refusals.join(' ')} Unbind what is bound, and try again with \`netmem devmem undo\`.`,
  )
}

async function undo(card: CardControl, step: UndoStep): Promise<void> {
  switch (step.kind) {
    case 'rings':
      return undoRings(card, step.settings)
    case 'feature':
      if ((await card.feature(step.name)) !== step.on) await card.setFeature(step.name, step.on)
      return
    case 'table':
      return card.setTable(step.table)
    case 'context':
      return undoContext(card, step)
    case 'rule':
      return undoRule(card, step)
  }
}

async function undoRings(
  card: CardControl,
  { tcpDataSplit, hdsThresh }: RingSettings,
): Promise<void> {
  const threshold = hdsThresh === undefined ? {} : { hdsThresh }
  if (tcpDataSplit === 'enabled') {
    if (hdsThresh !== undefined && hdsThresh > 0) await card.setRings(threshold)
    return
  }
  try {
    await card.setRings({ tcpDataSplit, ...threshold })
  } catch (refusal) {
    // bnxt has `enabled` and `unknown`, and reports `disabled` where it does not split by itself.
    if (tcpDataSplit !== 'disabled') throw refusal
    await card.setRings({ tcpDataSplit: 'unknown', ...threshold }).catch(() => {
      throw refusal
    })
  }
}

async function undoContext(
  card: CardControl,
  { context, table, before }: Extract<UndoStep, { kind: 'context' }>,
): Promise<void> {
  for (const [present, itsTable] of await card.contexts()) {
    // A process that was killed may have made one whose number it never wrote down.
    const ours =
      context === undefined
        ? !before.includes(present) && itsTable.join() === table.join()
        : present === context
    if (ours) await card.deleteContext(present)
  }
}

async function undoRule(
  card: CardControl,
  { location, rule, before }: Extract<UndoStep, { kind: 'rule' }>,
): Promise<void> {
  for (const present of await card.rules()) {
    const ours =
      location === undefined ? !before.includes(present.location) : present.location === location
    // The place may have been given to another program's rule since.
    if (ours && present.rule !== undefined && sameRule(present.rule, rule)) {
      await card.deleteRule(present.location)
    }
  }
}
