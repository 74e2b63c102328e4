/** A card on a link that plays frames, with a driver in plain memory. */

import { TestLink } from '../stack/device/nic/nic.test.helper.ts'
import { Gvnic, type GvnicOptions } from './gvnic.ts'
import { DriverModel, type OpenOptions } from './testing/driver-model.test.helper.ts'
import type { GuestRamOptions } from './testing/guest-ram.test.helper.ts'

export const MAC: Uint8Array = Uint8Array.of(0x42, 1, 10, 0, 0, 2)

export interface TestCard {
  readonly card: Gvnic
  readonly driver: DriverModel
  readonly link: TestLink
}

/** Returns a card that is not probed, with the largest MTU by default. */
export function testCard(options: Partial<GvnicOptions> = {}, ram: GuestRamOptions = {}): TestCard {
  const link = new TestLink()
  const card = new Gvnic({ link, mac: MAC, mtu: 9000, ...options })
  return { card, driver: new DriverModel(card, ram), link }
}

/** Returns a card whose driver has probed it and opened its queues. */
export function openCard(
  open: OpenOptions = {},
  options: Partial<GvnicOptions> = {},
  ram: GuestRamOptions = { regionBytes: 2 ** 26 },
): TestCard {
  const made = testCard(options, ram)
  made.driver.probe()
  made.driver.open(open)
  return made
}
