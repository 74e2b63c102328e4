/// <reference lib="esnext.disposable" preserve="true" />
/** A card by the kernel's interfaces: ethtool and netdev by netlink, flow rules by ioctl, and sysfs. */

import type { FlowRules } from '../flow-rules.ts'
import { ethtool } from '../netlink/generated/ethtool.ts'
import type { EthtoolBitset } from '../netlink/generated/ethtool-types.ts'
import { netdev } from '../netlink/generated/netdev.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { readText } from '../read-text.ts'
import { type Ifindex, LinuxError } from '../sys/index.ts'
import { unlessUnsupported } from '../unless-unsupported.ts'
import type { CardRule, InstalledRule, QueueInterrupt, RingSettings } from './card-settings.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DEVMEM_FEATURE: 'LinuxError'
  }
}

/** A card as prepareQueues() has it. In tests models of gve, bnxt and mlx5 stand for one. */
export type CardControl = Omit<EthtoolCard, typeof Symbol.dispose>

/** Functions reject with a LinuxError or a NetlinkError that has the kernel's words. */
export class EthtoolCard implements Disposable {
  readonly #netlink: Netlink
  readonly #rules: FlowRules
  readonly #ifindex: Ifindex
  readonly #name: string
  readonly #header: { readonly 'dev-index': number }

  /** Takes over the client and the table of rules. */
  constructor(netlink: Netlink, rules: FlowRules, ifindex: Ifindex, name: string) {
    this.#name = name
    this.#netlink = netlink
    this.#rules = rules
    this.#ifindex = ifindex
    this.#header = { 'dev-index': ifindex }
  }

  [Symbol.dispose](): void {
    this.#rules.close()
    this.#netlink.close()
  }

  rings(): Promise<RingSettings> {
    return ringsOf(this.#netlink, this.#ifindex)
  }

  async setRings({ tcpDataSplit, hdsThresh }: RingSettings): Promise<void> {
    await this.#netlink.do(ethtool, 'rings-set', {
      header: this.#header,
      ...(tcpDataSplit === undefined ? {} : { 'tcp-data-split': tcpDataSplit }),
      ...(hdsThresh === undefined ? {} : { 'hds-thresh': hdsThresh }),
    })
  }

  /** Resolves to the state of a feature, or to undefined for one that the card lacks. */
  feature(name: string): Promise<boolean | undefined> {
    return featureOf(this.#netlink, this.#ifindex, name)
  }

  async setFeature(name: string, on: boolean): Promise<void> {
    const bit = [{ name, ...(on ? { value: true } : {}) }]
    await this.#netlink.do(ethtool, 'features-set', {
      header: this.#header,
      wanted: { bits: { bit } },
    })
    // The kernel takes the wish, and the driver may not fulfil it.
    if (((await this.feature(name)) === true) === on) return
    throw new LinuxError(
      'NETMEM_DEVMEM_FEATURE',
      `The driver of interface ${this.#ifindex} did not turn ${name} ${on ? 'on' : 'off'}. \`ethtool -k\` lists its features, and the kernel's log may have the reason.`,
    )
  }

  /** Number of RX queues. */
  async rxQueues(): Promise<number> {
    // Every interface has queues, and not every driver has channels.
    const { replies } = await this.#netlink.dump(netdev, 'queue-get', { ifindex: this.#ifindex })
    return replies.filter(({ type }) => type === 'rx').length
  }

  /** Queues of the default RSS table, or undefined for a card without one. */
  async table(): Promise<readonly number[] | undefined> {
    const rss = await unlessUnsupported(
      this.#netlink.do(ethtool, 'rss-get', { header: this.#header }),
    )
    return rss?.indir
  }

  /** Sets the default RSS table, or lets the driver fill it (`default`). */
  async setTable(table: readonly number[] | 'default'): Promise<void> {
    // An empty table is the driver's own (K: net/ethtool/rss.c).
    const indir = table === 'default' ? [] : table
    await this.#netlink.do(ethtool, 'rss-set', { header: this.#header, indir })
  }

  /** RSS contexts but the default one, each with its table. */
  async contexts(): Promise<ReadonlyMap<number, readonly number[]>> {
    const found = new Map<number, readonly number[]>()
    const dump = await unlessUnsupported(
      this.#netlink.dump(ethtool, 'rss-get', { header: this.#header }),
    )
    for (const { context = 0, indir = [] } of dump?.replies ?? []) {
      if (context !== 0) found.set(context, indir)
    }
    return found
  }

  /** Makes an RSS context, and resolves to its number, or to undefined if the card has no contexts. */
  async createContext(table: readonly number[]): Promise<number | undefined> {
    const made = await unlessUnsupported(
      this.#netlink.do(ethtool, 'rss-create-act', { header: this.#header, indir: table }),
    )
    return made?.context
  }

  async deleteContext(context: number): Promise<void> {
    await this.#netlink.do(ethtool, 'rss-delete-act', { header: this.#header, context })
  }

  async rules(): Promise<readonly InstalledRule[]> {
    return this.#rules.list().map((installed) => {
      const { location } = installed
      if (installed.type === 'other') return { location, rule: undefined }
      const { queue, rssContext, location: _, ...match } = installed
      if (rssContext !== undefined) return { location, rule: { match, target: { rssContext } } }
      return { location, rule: queue === undefined ? undefined : { match, target: { queue } } }
    })
  }

  /** Adds a rule, and resolves to the location that it has. */
  async insertRule({ match, target }: CardRule): Promise<number> {
    return this.#rules.add(match, target)
  }

  async deleteRule(location: number): Promise<void> {
    this.#rules.delete(location)
  }

  async interrupt(queue: number): Promise<QueueInterrupt> {
    const ifindex = this.#ifindex
    const about = await this.#netlink.do(netdev, 'queue-get', { ifindex, id: queue, type: 'rx' })
    const id = about['napi-id']
    const irq =
      id === undefined ? undefined : (await this.#netlink.do(netdev, 'napi-get', { id })).irq
    return {
      irq,
      affinity: irq === undefined ? undefined : readText(`/proc/irq/${irq}/smp_affinity_list`),
    }
  }

  /** NUMA node of the card, or undefined where there is but one. */
  async numaNode(): Promise<number | undefined> {
    const node = Number(readText(`/sys/class/net/${this.#name}/device/numa_node`) ?? -1)
    return node >= 0 ? node : undefined
  }
}

/** Reads the settings of an interface's rings. */
export async function ringsOf(netlink: Netlink, ifindex: number): Promise<RingSettings> {
  const header = { 'dev-index': ifindex }
  const rings = await unlessUnsupported(netlink.do(ethtool, 'rings-get', { header }))
  const split = rings?.['tcp-data-split']
  return {
    tcpDataSplit: typeof split === 'string' ? split : undefined,
    hdsThresh: rings?.['hds-thresh'],
  }
}

/** Resolves to the state of an interface's feature, or to undefined for one that it lacks. */
export async function featureOf(
  netlink: Netlink,
  ifindex: number,
  name: string,
): Promise<boolean | undefined> {
  const header = { 'dev-index': ifindex }
  const features = await unlessUnsupported(netlink.do(ethtool, 'features-get', { header }))
  if (isSet(features?.active, name)) return true
  return isSet(features?.hw, name) ? false : undefined
}

/** True if a bit of a bitset is 1. A list without a mask has those bits alone. */
function isSet(bitset: EthtoolBitset | undefined, name: string): boolean {
  const bit = bitset?.bits?.bit?.find((each) => each.name === name)
  return bit !== undefined && (bitset?.nomask === true || bit.value === true)
}
