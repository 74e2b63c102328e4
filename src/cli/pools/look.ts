/** One look at all pools: the kernel's pools, and the pools that processes offer. */

import { isNetmemError } from '../../errors.ts'
import { NetlinkError } from '../../linux/netlink/netlink-error.ts'
import { openNetlink } from '../../linux/netlink/open-netlink.ts'
import { type KernelPools, kernelPools } from '../../observe/kernel-pools.ts'
import { type OfferedPools, offeredPools } from '../../observe/offered-pools.ts'
import { type Described, describeError } from '../exit.ts'

/** The kernel's pools, or the reason why this machine shows none. */
export type KernelLook =
  | ({ readonly kind: 'listed' } & KernelPools)
  | ({ readonly kind: 'unavailable' } & Described)

export interface Look {
  /** Milliseconds of a clock that never goes back. */
  readonly atMs: number
  readonly kernel: KernelLook
  readonly processes: readonly OfferedPools[]
}

/** @param netns File of the network namespace, or undefined for that of this process. */
export async function look(netns: string | undefined): Promise<Look> {
  const [kernel, processes] = await Promise.all([lookAtKernel(netns), offeredPools()])
  return { atMs: performance.now(), kernel, processes }
}

async function lookAtKernel(netns: string | undefined): Promise<KernelLook> {
  try {
    using netlink = await openNetlink(netns === undefined ? {} : { netns })
    return { kind: 'listed', ...(await kernelPools(netlink)) }
  } catch (error) {
    const reason = unavailable(error)
    if (reason === undefined) throw error
    return { kind: 'unavailable', ...reason }
  }
}

/** Returns the reason if it is this machine that has no list of pools. */
function unavailable(error: unknown): Described | undefined {
  if (!isNetmemError(error)) return undefined
  if (error.code === 'NETMEM_LINUX_UNAVAILABLE') return describeError(error)
  const old =
    error.code === 'NETMEM_NETLINK_NO_FAMILY' ||
    (error instanceof NetlinkError && error.errno === 'EOPNOTSUPP')
  if (!old) return undefined
  const message = 'this kernel does not list its page pools: use one from 6.8 on'
  return { code: error.code, message }
}
