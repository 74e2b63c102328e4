/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Flow rules of a network card (ntuple filters), which steer packets to a queue. The family `ethtool`
 * of netlink does not have them: they go by ioctl.
 */

import { checkInteger, checkOneOf, checkString, NetmemError } from '../errors.ts'
import {
  ETHTOOL_GRXCLSRLALL,
  ETHTOOL_GRXCLSRLCNT,
  ETHTOOL_GRXCLSRULE,
  ETHTOOL_SRXCLSRLDEL,
  type FlowMatch,
  type FlowRule,
  insertion,
  locationOf,
  locationsOf,
  RX_CLS_LOC_ANY,
  ruleOf,
  rxnfc,
  tableOf,
} from '../wire/flow-rules.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_FLOW_RULES_FULL: 'FlowRuleError'
  }
}

/** A rule that a card has no place for. */
export class FlowRuleError extends NetmemError<'FlowRuleError'> {}

/** Runs a command of ethtool on the interface: the bytes are a struct that the kernel reads and writes. */
export type EthtoolIoctl = (bytes: Uint8Array) => void

/** A rule of another type, or with other fields than a {@link FlowRule} has. */
export interface OtherRule {
  /** Tells it from a {@link FlowRule}. */
  readonly type: 'other'
  /** Place in the table. */
  readonly location: number
}

/** Destination of a rule's packets: one RX queue, or the queues of an RSS context. */
export type FlowTarget =
  | {
      /** Number of the queue, from 0. */
      readonly queue: number
    }
  | {
      /** Number of the context, from 1. */
      readonly rssContext: number
    }

/**
 * The table of flow rules of one interface. {@link openFlowRules} makes one. Rules stay when it is
 * closed. Disposable.
 */
export class FlowRules implements Disposable {
  readonly #run: EthtoolIoctl
  readonly #onClose: () => void

  /** @internal */
  constructor(run: EthtoolIoctl, onClose: () => void) {
    this.#run = run
    this.#onClose = onClose
  }

  /**
   * Adds a rule, and returns its location. Where the card does not choose locations by itself, the rule
   * takes the last free one, which has the lowest priority.
   *
   * @param location place in the table. A rule that is there is replaced.
   * @throws NETMEM_FLOW_RULES_FULL, NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE, or
   *   NETMEM_SYSCALL_FAILED with EPERM, or EOPNOTSUPP where `ntuple` is off or the card has no rules.
   */
  add(match: FlowMatch, target: FlowTarget, location?: number): number {
    checkMatch(match)
    checkTarget(target)
    if (location !== undefined) checkInteger('location', location, 0, 0x7fffffff)
    const bytes = insertion(match, target, location ?? this.#freeLocation())
    this.#run(bytes)
    return locationOf(bytes)
  }

  /**
   * Lists the rules by location. Those that are no {@link FlowRule} have a location alone.
   *
   * @throws NETMEM_SYSCALL_FAILED
   */
  list(): (FlowRule | OtherRule)[] {
    return this.#locations(this.#table().rules)
      .sort((a, b) => a - b)
      .map((location) => {
        const bytes = rxnfc(ETHTOOL_GRXCLSRULE, location)
        this.#run(bytes)
        return ruleOf(bytes) ?? { type: 'other', location }
      })
  }

  /**
   * Deletes the rule at a location.
   *
   * @throws NETMEM_SYSCALL_FAILED with ENOENT, or the driver's errno, if there is none.
   */
  delete(location: number): void {
    checkInteger('location', location, 0, 0x7fffffff)
    this.#run(rxnfc(ETHTOOL_SRXCLSRLDEL, location))
  }

  /** Closes the socket. Rules stay. A second call does nothing. */
  close(): void {
    this.#onClose()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #table(): ReturnType<typeof tableOf> {
    const bytes = rxnfc(ETHTOOL_GRXCLSRLCNT)
    this.#run(bytes)
    return tableOf(bytes)
  }

  #locations(rules: number): number[] {
    if (rules === 0) return []
    const bytes = rxnfc(ETHTOOL_GRXCLSRLALL, 0, rules)
    this.#run(bytes)
    return locationsOf(bytes)
  }

  #freeLocation(): number {
    const { rules, places, choosesLocation } = this.#table()
    if (choosesLocation) return RX_CLS_LOC_ANY
    const taken = new Set(this.#locations(rules))
    // A driver that does not say how many places it has takes at least one rule more.
    for (let location = (places || rules + 1) - 1; location >= 0; location -= 1) {
      if (!taken.has(location)) return location
    }
    throw new FlowRuleError(
      'NETMEM_FLOW_RULES_FULL',
      `All ${places} places for flow rules are taken: delete a rule, or steer by an RSS context.`,
    )
  }
}

/** Throws NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE for fields that no rule can have. */
export function checkMatch(match: FlowMatch): void {
  checkOneOf('type', match.type, ['tcp4', 'udp4', 'tcp6', 'udp6'])
  const { sourceAddress, destinationAddress, sourcePort, destinationPort } = match
  for (const address of [sourceAddress, destinationAddress]) {
    if (address !== undefined) checkString('An address of a flow rule', address, 'text')
  }
  if (sourcePort !== undefined) checkInteger('sourcePort', sourcePort, 0, 65535)
  if (destinationPort !== undefined) checkInteger('destinationPort', destinationPort, 0, 65535)
  // Laying a rule out finds wrong addresses.
  insertion(match, { queue: 0 }, 0)
}

function checkTarget(target: FlowTarget): void {
  if ('rssContext' in target) checkInteger('rssContext', target.rssContext, 1, 0xfffffffe)
  else checkInteger('queue', target.queue, 0, 0xffffffff)
}
