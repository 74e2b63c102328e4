/** Steering of the NIC inside the card, by the guest's flow rules. */

import { isNetmemError } from '../errors.ts'
import type { Steering } from '../stack/device/nic/steering.ts'
import type { GvnicFlowRule, RulesTarget } from './admin/flow-rules.ts'

export class GuestRules implements RulesTarget {
  readonly #steering: Steering

  constructor(steering: Steering) {
    this.#steering = steering
  }

  setRule(location: number, rule: GvnicFlowRule): boolean {
    const { protocol, ipVersion, key, mask, queue } = rule
    const wanted = {
      ...{ protocol, ipVersion, queue, location },
      destinationAddress: key.destination,
      destinationPort: key.destinationPort,
      source: { address: key.source, port: key.sourcePort },
      masks: {
        destinationAddress: mask.destination,
        destinationPort: mask.destinationPort,
        sourceAddress: mask.source,
        sourcePort: mask.sourcePort,
      },
    }
    try {
      this.#steering.addRule(wanted)
      return true
    } catch (error) {
      // Queue and location are checked, so the NIC has a rule for the same packets.
      if (isNetmemError(error) && error.code === 'NETMEM_NIC_CONFIG') return false
      throw error
    }
  }

  removeRule(location: number): void {
    this.#steering.removeRule(location)
  }
}
