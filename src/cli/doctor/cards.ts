/** Network cards: what each lacks for devmem TCP. */

import { existsSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { ethtool } from '../../linux/netlink/generated/ethtool.ts'
import type {
  EthtoolBitset,
  EthtoolFeatures,
  EthtoolRings,
} from '../../linux/netlink/generated/ethtool-types.ts'
import { netdev } from '../../linux/netlink/generated/netdev.ts'
import type { NetdevQueue } from '../../linux/netlink/generated/netdev-types.ts'
import { rtLink } from '../../linux/netlink/generated/rt-link.ts'
import type { Netlink } from '../../linux/netlink/netlink.ts'
import { NetlinkError } from '../../linux/netlink/netlink-error.ts'
import { Feature, type Finding, finder } from './finding.ts'
import { askToBind } from './rights.ts'

const { ok, warn, missing } = finder(Feature.devmem)

/**
 * Drivers whose page pools take device memory in Linux 7.3 (PP_FLAG_ALLOW_UNREADABLE_NETMEM). The kernel
 * has no query for it: only a binding of a dma-buf shows it.
 */
const DEVMEM_DRIVERS: readonly string[] = ['gve', 'bnxt_en', 'bnge', 'mlx5_core', 'fbnic']

interface Card {
  readonly ifindex: number
  readonly name: string
  readonly driver: string
}

/** @param driverOf Returns the driver of an interface, or undefined for one without a device. */
export async function cardFindings(
  netlink: Netlink,
  driverOf: (name: string) => string | undefined = readDriver,
): Promise<Finding[]> {
  const { replies: links } = await netlink.dump(rtLink, 'getlink')
  const { replies: queues } = await netlink.dump(netdev, 'queue-get')
  const cards = links
    .map((link) => ({ ifindex: link['ifi-index'], name: link.ifname }))
    .flatMap((link) => {
      const driver = driverOf(link.name)
      return driver === undefined ? [] : [{ ...link, driver }]
    })
  const findings: Finding[] = []
  for (const card of cards) findings.push(...(await findingsOf(netlink, card, queues)))
  const leased = leasedFindings(links, queues)
  if (cards.length > 0 || leased.length > 0) return [...findings, ...leased]
  const value = 'there is none in this network namespace'
  return [
    missing('network card', value, `Use one of ${DEVMEM_DRIVERS.join(', ')}, or lease a queue.`),
  ]
}

async function findingsOf(
  netlink: Netlink,
  card: Card,
  queues: readonly NetdevQueue[],
): Promise<Finding[]> {
  const rx = queues.filter(({ ifindex, type }) => ifindex === card.ifindex && type === 'rx')
  const binding = await bindingFinding(netlink, card)
  const findings = [queueFinding(card, rx.length), binding]
  const bound = rx.filter(({ dmabuf }) => dmabuf !== undefined)
  if (bound.length > 0) {
    const text = bound.map(({ id, dmabuf }) => `queue ${id} to binding ${dmabuf}`).join(', ')
    findings.push(ok(`${card.name}: bound`, text))
  }
  // Cards without a binding need no settings.
  if (binding.status === 'missing') return findings
  const header = { 'dev-index': card.ifindex }
  const rings = await asked(netlink.do(ethtool, 'rings-get', { header }))
  const features = await asked(netlink.do(ethtool, 'features-get', { header }))
  return [...findings, ...splitFindings(card, rings), ntupleFinding(card, features)]
}

function queueFinding({ name, driver }: Card, rx: number): Finding {
  const value = `driver ${driver}, RX queues: ${rx}`
  return rx > 1
    ? ok(`network card ${name}`, value)
    : warn(
        `network card ${name}`,
        value,
        `Device memory takes queues of its own: ethtool -L ${name} combined 2 (gve: rx 2 tx 2)`,
      )
}

/** Has the kernel say if the driver has queue operations (K: net/core/netdev-genl.c, netdev_nl_bind_rx_doit). */
async function bindingFinding(netlink: Netlink, { ifindex, name, driver }: Card): Promise<Finding> {
  const label = `${name}: device memory`
  const remedy = `Use a card of one of these drivers: ${DEVMEM_DRIVERS.join(', ')}. Or try it in QEMU: \`netmem gvnic\` gives such cards to a guest.`
  const answer = await askToBind(netlink, ifindex)
  if (answer === 'EOPNOTSUPP') {
    return missing(label, `the driver ${driver} has no queue operations (EOPNOTSUPP)`, remedy)
  }
  if (!DEVMEM_DRIVERS.includes(driver)) {
    return missing(label, `no kernel up to 7.3 has it in the driver ${driver}`, remedy)
  }
  return answer === 'EPERM'
    ? warn(label, `the driver ${driver} has it; the kernel was not asked`, 'Run doctor as root.')
    : ok(label, `the driver ${driver} has it`)
}

function splitFindings({ name }: Card, rings: EthtoolRings | undefined): Finding[] {
  const split = rings?.['tcp-data-split']
  const threshold = rings?.['hds-thresh']
  const label = `${name}: tcp-data-split`
  const findings: Finding[] = []
  if (split === 'enabled') findings.push(ok(label, 'on'))
  else if (split === undefined) {
    const remedy = 'Update the kernel, or the firmware of the card.'
    findings.push(missing(label, 'the driver has no such setting', remedy))
  } else {
    const remedy = `prepareQueues() turns it on, as does: ethtool -G ${name} tcp-data-split on`
    findings.push(missing(label, split === 'disabled' ? 'off' : 'left to the driver', remedy))
  }
  if (threshold === undefined) findings.push(ok(`${name}: hds-thresh`, 'the driver has none'))
  else if (threshold === 0) findings.push(ok(`${name}: hds-thresh`, '0'))
  else {
    const value = `${threshold}: shorter packets are not split`
    const remedy = `prepareQueues() sets it to 0, as does: ethtool -G ${name} hds-thresh 0`
    findings.push(missing(`${name}: hds-thresh`, value, remedy))
  }
  return findings
}

function ntupleFinding({ name }: Card, features: EthtoolFeatures | undefined): Finding {
  const label = `${name}: ntuple`
  // A set without a mask lists only what is set, without a value (K: net/ethtool/bitset.c).
  const isSet = (set: EthtoolBitset | undefined): boolean => {
    const bit = set?.bits?.bit?.find(({ name }) => name === 'rx-ntuple-filter')
    return bit !== undefined && (set?.nomask === true || bit.value === true)
  }
  if (isSet(features?.active)) return ok(label, 'on')
  const remedy = `prepareQueues() turns it on, as does: ethtool -K ${name} ntuple on`
  return isSet(features?.hw)
    ? missing(label, 'off: no flow can be steered to a queue', remedy)
    : warn(label, 'the driver has no such feature', 'Steer flows by RSS: ethtool -X.')
}

/** Queues that an interface has of another one: containers bind them as their own. */
function leasedFindings(
  links: readonly { readonly 'ifi-index': number; readonly ifname: string }[],
  queues: readonly NetdevQueue[],
): Finding[] {
  return queues.flatMap(({ ifindex, id, lease }) => {
    if (lease === undefined) return []
    const name = links.find((link) => link['ifi-index'] === ifindex)?.ifname ?? String(ifindex)
    const other = lease['netns-id'] === undefined ? '' : ' of another network namespace'
    const value = `with queue ${lease.queue?.id} of interface ${lease.ifindex}${other}`
    return [ok(`${name}: queue ${id} leased`, value)]
  })
}

/** Resolves to undefined where the driver has no such settings. */
async function asked<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === 'EOPNOTSUPP') return undefined
    throw error
  }
}

function readDriver(name: string): string | undefined {
  if (!existsSync(`/sys/class/net/${name}/device`)) return undefined
  try {
    return basename(readlinkSync(`/sys/class/net/${name}/device/driver`))
  } catch {
    return 'unknown'
  }
}
