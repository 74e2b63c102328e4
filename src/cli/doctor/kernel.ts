/** The kernel: how it was built, and what it answers when it is asked by netlink. */

import os from 'node:os'

import { netdev } from '../../linux/netlink/generated/netdev.ts'
import type { Netlink } from '../../linux/netlink/netlink.ts'
import { NetlinkError } from '../../linux/netlink/netlink-error.ts'
import { openNetlink } from '../../linux/netlink/open-netlink.ts'
import { describeError } from '../exit.ts'
import { cardFindings } from './cards.ts'
import { Feature, type Finding, finder } from './finding.ts'
import { type KernelConfig, kernelConfig } from './kernel-config.ts'
import { rightFindings } from './rights.ts'

const netlinkFinder = finder(Feature.netlink)
const devmem = finder(Feature.devmem)

export async function kernelFindings(): Promise<Finding[]> {
  const kernel = netlinkFinder.ok('kernel', `${os.type()} ${os.release()}`)
  if (process.platform !== 'linux') {
    const remedy = 'None is needed: everything else that netmem does works here.'
    return [kernel, devmem.missing('devmem TCP', 'not on this system', remedy)]
  }
  const build = buildFinding(kernelConfig())
  try {
    using netlink = await openNetlink()
    return [kernel, ...(await askedFindings(netlink, build))]
  } catch (error) {
    const { code, message } = describeError(error)
    const remedy = code === 'NETMEM_LINUX_UNAVAILABLE' ? WITHOUT_KOFFI : UNEXPECTED
    return [
      kernel,
      netlinkFinder.missing('netlink', message, remedy),
      build,
      devmem.missing('bind-rx', 'the kernel could not be asked', remedy),
    ]
  }
}

const WITHOUT_KOFFI = 'npm install koffi@3. Then doctor asks the kernel.'
const UNEXPECTED = 'Report it, with the output of NODE_DEBUG=netmem netmem doctor.'

/**
 * Findings of what the kernel answers.
 *
 * @param build Finding about the way the kernel was built.
 */
export async function askedFindings(netlink: Netlink, build: Finding): Promise<Finding[]> {
  const findings = [
    netlinkFinder.ok('netlink', 'openNetlink can be had'),
    await counterFinding(netlink),
    build,
    ...(await operationFindings(netlink)),
  ]
  // Rights and cards do not matter if the kernel has no bindings.
  if (!(await netlink.supports(netdev, 'bind-rx'))) return findings
  return [...findings, ...(await rightFindings(netlink)), ...(await cardFindings(netlink))]
}

/** A kernel without CONFIG_NET_DEVMEM has the operations, and refuses each (K: net/core/devmem.h). */
function buildFinding(config: KernelConfig | undefined): Finding {
  const name = 'CONFIG_NET_DEVMEM'
  const remedy = 'Use a kernel from 6.12 on that is built with CONFIG_NET_DEVMEM.'
  if (config === undefined) {
    const value = 'unknown: the kernel does not show how it was built'
    return devmem.warn(name, value, `If bindRx is refused everywhere: ${remedy}`)
  }
  return config.has('NET_DEVMEM') ? devmem.ok(name, 'on') : devmem.missing(name, 'off', remedy)
}

async function operationFindings(netlink: Netlink): Promise<Finding[]> {
  const rows = [
    ['bind-rx', undefined, 'bindRx', '6.12'],
    ['bind-tx', undefined, 'bindTx', '6.16'],
    ['bind-rx', 'rx-page-size', "bindRx's rxPageSize", '7.3'],
    ['queue-create', undefined, 'leased queues, for containers', '7.1'],
  ] as const
  return Promise.all(
    rows.map(async ([operation, attribute, use, version]) => {
      const name = attribute === undefined ? operation : `${operation} ${attribute}`
      if (await netlink.supports(netdev, operation, attribute)) return devmem.ok(name, `for ${use}`)
      const value = `the kernel does not know it; it is for ${use}`
      const remedy = `Use a newer kernel: Linux ${version} has it.`
      const isNeeded = operation === 'bind-rx' && attribute === undefined
      return isNeeded ? devmem.missing(name, value, remedy) : devmem.warn(name, value, remedy)
    }),
  )
}

/** Page pools can be listed from Linux 6.8 on, with counters if it is built with them. */
async function counterFinding(netlink: Netlink): Promise<Finding> {
  const name = 'page pools'
  try {
    await netlink.dump(netdev, 'page-pool-get')
  } catch (error) {
    return netlinkFinder.missing(name, refusal(error), 'Use a kernel from 6.8 on.')
  }
  try {
    await netlink.dump(netdev, 'page-pool-stats-get')
    return netlinkFinder.ok(name, 'netmem pools lists them with their counters')
  } catch (error) {
    const remedy = 'Use a kernel that is built with CONFIG_PAGE_POOL_STATS.'
    return netlinkFinder.warn(name, `listed without counters: ${refusal(error)}`, remedy)
  }
}

/** Returns the kernel's words, or throws what is no refusal. */
function refusal(error: unknown): string {
  if (!(error instanceof NetlinkError)) throw error
  if (error.code === 'NETMEM_NETLINK_NO_FAMILY') return error.message
  return error.kernelMessage ?? error.errno ?? error.message
}
