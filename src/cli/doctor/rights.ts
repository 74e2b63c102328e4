/** Rights for devmem, found with a request to the kernel that has no effect. */

import { netdev } from '../../linux/netlink/generated/netdev.ts'
import type { Netlink } from '../../linux/netlink/netlink.ts'
import { NetlinkError } from '../../linux/netlink/netlink-error.ts'
import { readText } from '../../linux/read-text.ts'
import { exactSize } from '../size.ts'
import { Feature, type Finding, finder, processLimit } from './finding.ts'

const { ok, warn, missing } = finder(Feature.devmem)

/** No process has so many descriptors, so the kernel finds no dma-buf. */
const NO_DESCRIPTOR = 0x7fff_ffff
const LOOPBACK = 1

export async function rightFindings(netlink: Netlink): Promise<Finding[]> {
  return [await bindRight(netlink), ruleRight(), lockedMemory()]
}

/**
 * Asks for a binding of a dma-buf that does not exist. Answers: `EPERM` without the right, `EOPNOTSUPP`
 * from a driver without queue operations or DMA, and `EBADF` from one that looks for the dma-buf.
 */
export async function askToBind(netlink: Netlink, ifindex: number): Promise<string> {
  try {
    const queues = [{ id: 0, type: 'rx' as const }]
    await netlink.do(netdev, 'bind-rx', { ifindex, fd: NO_DESCRIPTOR, queues })
    return 'bound'
  } catch (error) {
    if (error instanceof NetlinkError && error.errno !== undefined) return error.errno
    throw error
  }
}

async function bindRight(netlink: Netlink): Promise<Finding> {
  const name = 'right to bind'
  return (await askToBind(netlink, LOOPBACK)) === 'EPERM'
    ? missing(
        name,
        'this process may not: bindRx needs CAP_NET_ADMIN in this network namespace',
        'Run as root, or let root prepare it: netmem devmem prepare. bindTx needs no right.',
      )
    : ok(name, 'the kernel lets this process bind; bindTx needs no right')
}

/** Bit of CAP_NET_ADMIN. K: include/uapi/linux/capability.h. */
const CAP_NET_ADMIN = 12n
const CAP_IPC_LOCK = 14n
/** Length of a map of all user IDs. K: kernel/user_namespace.c. */
const ALL_IDS = 4294967295

function ruleRight(): Finding {
  const name = 'right to steer flows'
  const remedy = 'Run netmem devmem prepare as root of the machine.'
  if (!has(CAP_NET_ADMIN)) {
    return missing(name, 'no CAP_NET_ADMIN: prepareQueues changes settings of the card', remedy)
  }
  const [, , length] = (readText('/proc/self/uid_map') ?? '').trim().split(/\s+/).map(Number)
  return length === ALL_IDS
    ? ok(name, "CAP_NET_ADMIN in the machine's own user namespace")
    : warn(
        name,
        "CAP_NET_ADMIN in a container's user namespace, which has no rules of cards",
        remedy,
      )
}

function has(capability: bigint): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')?.[1] ?? '0'
  return ((BigInt(`0x${mask}`) >> capability) & 1n) === 1n
}

const FEW_BYTES = 64 * 2 ** 20

/** Zero-copy sends count towards the limit (K: net/core/skbuff.c, mm_account_pinned_pages). */
function lockedMemory(): Finding {
  const name = 'locked memory'
  const limit = processLimit('Max locked memory') ?? Number.POSITIVE_INFINITY
  if (has(CAP_IPC_LOCK)) return ok(name, 'without a limit for this process (CAP_IPC_LOCK)')
  if (limit === Number.POSITIVE_INFINITY) return ok(name, 'unlimited')
  const value = `${exactSize(limit)}: zero-copy sends that are under way count`
  return limit >= FEW_BYTES
    ? ok(name, value)
    : warn(name, value, 'Before starting: ulimit -l unlimited (or LimitMEMLOCK= of systemd)')
}
