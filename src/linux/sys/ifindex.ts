/** Numbers of network interfaces. */

import { checkInteger } from '../../errors.ts'

declare const ifindex: unique symbol

/** Number of a network interface in its network namespace. K: include/linux/netdevice.h, ifindex. */
export type Ifindex = number & { readonly [ifindex]: true }

/** Largest index: the kernel has it in an int, and 0 is no interface. */
const MAX_IFINDEX = 2 ** 31 - 1

/**
 * Returns the number of an interface that a caller gave.
 *
 * @throws NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE for a number that no interface can have.
 */
export function checkIfindex(value: number): Ifindex {
  checkInteger('ifindex', value, 1, MAX_IFINDEX)
  assertIfindex(value)
  return value
}

function assertIfindex(_checked: number): asserts _checked is Ifindex {}
