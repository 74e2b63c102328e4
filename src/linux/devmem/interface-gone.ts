/** Interfaces that are not there. */

import { NetlinkError } from '../netlink/netlink-error.ts'
import { type Ifindex, LinuxError } from '../sys/index.ts'

/** True for the kernel's answer about an interface that is not there. */
export function isInterfaceGone(error: unknown): boolean {
  return (error instanceof LinuxError || error instanceof NetlinkError) && error.errno === 'ENODEV'
}

/** Makes the error of a call that names an interface that is not there. */
export function noInterface(ifindex: Ifindex, cause: unknown): LinuxError {
  return new LinuxError(
    'NETMEM_DEVMEM_NO_INTERFACE',
    `There is no interface ${ifindex} in this network namespace: \`ip link\` lists them with their numbers.`,
    { cause, errno: 'ENODEV' },
  )
}
