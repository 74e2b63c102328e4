/** Opens the queues of a TAP interface, and says why that fails. */

import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFF_VNET_HDR,
  TUN_F_CSUM,
  TUN_F_TSO_ECN,
  TUN_F_TSO4,
  TUN_F_TSO6,
} from '../../../linux/sys/constants.ts'
import type { ErrnoName } from '../../../linux/sys/errno.ts'
import { LinuxError } from '../../../linux/sys/linux-error.ts'
import type { OwnedFd } from '../../../linux/sys/owned-fd.ts'
import { interfaceMtu, openTun, setInterfaceMtu, setTunOffload } from '../../../linux/sys/tun.ts'
import { DeviceError } from '../../device-error.ts'

/** Queues of one interface. */
export interface TapQueues {
  readonly name: string
  readonly queues: readonly OwnedFd[]
  /** The kernel's reason not to hand over large frames and partial checksums. `undefined` if it does. */
  readonly refusal: string | undefined
}

const OFFLOADS: number = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN

/**
 * Opens `count` queues of the interface, which is made if there is none of that name.
 *
 * @throws NETMEM_TAP_UNAVAILABLE, NETMEM_TAP_PERMISSION, NETMEM_TAP_NAME_TAKEN, NETMEM_SYSCALL_FAILED.
 */
export function openQueues(
  name: string,
  count: number,
  mtu: number | undefined,
  offload: boolean,
): TapQueues {
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (count > 1 ? IFF_MULTI_QUEUE : 0)
  const queues: OwnedFd[] = []
  let named = name
  try {
    while (queues.length < count) {
      const tun = openTun(named, flags)
      queues.push(tun.queue)
      // The other queues join the first one, whose name the kernel may have completed.
      named = tun.name
    }
    // Root alone may set it, and others may have an interface whose MTU is right.
    if (mtu !== undefined && mtu !== interfaceMtu(named)) setInterfaceMtu(named, mtu)
    return { name: named, queues, refusal: offload ? refusalOf(queues) : undefined }
  } catch (error) {
    for (const queue of queues) queue.close()
    throw explained(error, named)
  }
}

/** Asks for large frames and partial checksums. All queues have the setting of the last request. */
function refusalOf(queues: readonly OwnedFd[]): string | undefined {
  try {
    for (const { fd } of queues) setTunOffload(fd, OFFLOADS)
    return undefined
  } catch (error) {
    if (!(error instanceof LinuxError)) throw error
    return error.message
  }
}

const UNAVAILABLE: readonly (ErrnoName | undefined)[] = ['ENOENT', 'ENODEV', 'ENXIO']

/** Returns the error of a TAP interface that fits the kernel's, or the kernel's own. */
function explained(error: unknown, name: string): unknown {
  if (!(error instanceof LinuxError)) return error
  const { code, errno, syscall } = error
  if (code === 'NETMEM_LINUX_UNAVAILABLE') {
    return new DeviceError('NETMEM_TAP_UNAVAILABLE', 'ENODEV', error.message)
  }
  const failed = `The kernel refuses the TAP interface ${name} (${syscall}: ${errno}).`
  if (syscall === 'open' && UNAVAILABLE.includes(errno)) {
    return new DeviceError(
      'NETMEM_TAP_UNAVAILABLE',
      'ENODEV',
      `${failed} There is no /dev/net/tun: \`modprobe tun\`, and in a container \`--device /dev/net/tun\`.`,
    )
  }
  if (syscall === 'open' && errno === 'EACCES') {
    return new DeviceError(
      'NETMEM_TAP_PERMISSION',
      'EPERM',
      `${failed} This user may not open /dev/net/tun: join the group that \`stat -c %G /dev/net/tun\` names.`,
    )
  }
  if (errno === 'EPERM') {
    return new DeviceError(
      'NETMEM_TAP_PERMISSION',
      'EPERM',
      `${failed} Run it as root, \`setcap cap_net_admin+ep ${process.execPath}\`, or have root make the interface for this user: \`ip tuntap add ${name} mode tap user ${userName()}\`.`,
    )
  }
  if (errno === 'EBUSY' || errno === 'EINVAL' || errno === 'E2BIG') {
    return new DeviceError(
      'NETMEM_TAP_NAME_TAKEN',
      'EBUSY',
      `${failed} Another program has it, or it is no TAP interface with as many queues: take another name, or see \`ip -d link show ${name}\`. With more than one queue it is made by \`ip tuntap add … multi_queue\`.`,
    )
  }
  return error
}

function userName(): string {
  return process.env['USER'] ?? String(process.getuid?.() ?? '$USER')
}
