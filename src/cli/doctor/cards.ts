/** Network cards: what each lacks for devmem TCP. */

import { existsSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import type { RingSettings } from '../../linux/devmem/card-settings.ts'
import { featureOf, ringsOf } from '../../linux/devmem/ethtool-card.ts'
import { netdev } from '../../linux/netlink/generated/netdev.ts'
import type { NetdevQueue } from '../../linux/netlink/generated/netdev-types.ts'
import { rtLink } from '../../linux/netlink/generated/rt-link.ts'
import type { Netlink } from '../../linux/netlink/netlink.ts'
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
  const findings: Finding[] = []
  for (const { 'ifi-index': ifindex, ifname: name } of links) {
    const driver = driverOf(name)
    if (driver !== undefined) {
      findings.push(...(await findingsOf(netlink, { ifindex, name, driver }, queues)))
    }
  }
  findings.push(...leasedFindings(links, queues))
  if (findings.length > 0) return findings
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
  const rings = await ringsOf(netlink, card.ifindex)
  const ntuple = await featureOf(netlink, card.ifindex, 'rx-ntuple-filter')
  return [
    ...findings,
    splitFinding(card, rings),
    thresholdFinding(card, rings),
    ntupleFinding(card, ntuple),
  ]
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

function splitFinding({ name }: Card, { tcpDataSplit }: RingSettings): Finding {
  const label = `${name}: tcp-data-split`
  if (tcpDataSplit === 'enabled') return ok(label, 'on')
  if (tcpDataSplit === undefined) {
    const remedy = 'Update the kernel, or the firmware of the card.'
    return missing(label, 'the driver has no such setting', remedy)
  }
  const remedy = `prepareQueues() turns it on, as does: ethtool -G ${name} tcp-data-split on`
  return missing(label, tcpDataSplit === 'disabled' ? 'off' : 'left to the driver', remedy)
}

function thresholdFinding({ name }: Card, { hdsThresh }: RingSettings): Finding {
  const label = `${name}: hds-thresh`
  if (hdsThresh === undefined) return ok(label, 'the driver has none')
  if (hdsThresh === 0) return ok(label, '0')
  const remedy = `prepareQueues() sets it to 0, as does: ethtool -G ${name} hds-thresh 0`
  return missing(label, `${hdsThresh}: shorter packets are not split`, remedy)
}

function ntupleFinding({ name }: Card, isOn: boolean | undefined): Finding {
  const label = `${name}: ntuple`
  if (isOn === true) return ok(label, 'on')
  const remedy = `prepareQueues() turns it on, as does: ethtool -K ${name} ntuple on`
  return isOn === false
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

function readDriver(name: string): string | undefined {
  if (!existsSync(`/sys/class/net/${name}/device`)) return undefined
  try {
    return basename(readlinkSync(`/sys/class/net/${name}/device/driver`))
  } catch {
    return 'unknown'
  }
}
