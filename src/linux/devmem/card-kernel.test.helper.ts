// The kernel's ethtool and netdev families and its ioctl of flow rules, over a model of a card: what
// EthtoolCard sends is decoded as the kernel decodes it, and kept as an exchange.

import {
  ETHTOOL_GRXCLSRLALL,
  ETHTOOL_GRXCLSRLCNT,
  ETHTOOL_GRXCLSRULE,
  ETHTOOL_SRXCLSRLDEL,
  insertion,
  locationOf,
  ruleOf,
} from '../../wire/flow-rules.ts'
import { type NetlinkMessage, parseMessages } from '../../wire/netlink.ts'
import { AttributeWriter } from '../../wire/netlink-attributes.ts'
import { decodeAttributes } from '../../wire/netlink-decode.ts'
import { FlowRules } from '../flow-rules.ts'
import { acknowledge, datagram, done, reply } from '../netlink/fake-kernel.test.helper.ts'
import type { FamilyTables } from '../netlink/family.ts'
import { ethtool } from '../netlink/generated/ethtool.ts'
import { netdev } from '../netlink/generated/netdev.ts'
import { nlctrl } from '../netlink/generated/nlctrl.ts'
import { Netlink } from '../netlink/netlink.ts'
import type { NetlinkTransport, Received } from '../netlink/transport.ts'
import { type ErrnoName, type Ifindex, LinuxError } from '../sys/index.ts'
import type { ModelCard } from './card-models.test.helper.ts'
import type { CardRule } from './card-settings.ts'
import { EthtoolCard } from './ethtool-card.ts'

const IDS: Readonly<Record<string, number>> = { netdev: 20, ethtool: 21 }
const FAMILIES: readonly FamilyTables[] = [netdev, ethtool]
/** K: include/uapi/linux/ethtool.h. */
const ETHTOOL_SRXCLSRLINS = 0x32
const NLMSGERR_ATTR_MSG = 1
const ERRNO: { readonly [Name in ErrnoName]?: number } = {
  EPERM: 1,
  ENODEV: 19,
  EINVAL: 22,
  EOPNOTSUPP: 95,
}
const NLM_F_DUMP = 0x300

/** Attributes of requests, as far as the tests look at them. */
interface Request {
  readonly header?: { readonly 'dev-index'?: number }
  readonly ifindex?: number
  readonly id?: number
  readonly context?: number
  readonly indir?: readonly number[]
  readonly 'tcp-data-split'?: 'unknown' | 'disabled' | 'enabled'
  readonly 'hds-thresh'?: number
  readonly 'family-name'?: string
  readonly wanted?: {
    readonly bits?: {
      readonly bit?: readonly { readonly name?: string; readonly value?: boolean }[]
    }
  }
}

export class CardKernel implements NetlinkTransport {
  /** Requests by name with their attributes, as they came. */
  readonly exchange: string[] = []
  readonly #card: ModelCard
  readonly #ifindex: Ifindex
  readonly #queue: Received[] = []
  #wake: () => void = () => undefined

  constructor(card: ModelCard, ifindex: Ifindex) {
    this.#card = card
    this.#ifindex = ifindex
  }

  /** A card as prepareQueues() has it, on this kernel. */
  open(): EthtoolCard {
    const netlink = new Netlink({ open: () => this, close: () => undefined })
    return new EthtoolCard(netlink, this.#flowRules(), this.#ifindex, 'none')
  }

  send(message: Uint8Array): void {
    const [request] = parseMessages(message.slice())
    if (request === undefined) throw new Error('an empty request')
    void this.#answer(request).then((datagrams) => {
      this.#queue.push(...datagrams)
      this.#wake()
    })
  }

  receive(): Received | undefined {
    return this.#queue.shift()
  }

  readable(): Promise<void> {
    if (this.#queue.length > 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  join(): void {}
  unref(): void {}

  close(): void {
    this.#wake()
  }

  async #answer(message: NetlinkMessage): Promise<Received[]> {
    const { sequence, type, flags } = message
    const dump = (flags & NLM_F_DUMP) === NLM_F_DUMP
    try {
      const replies = type === 16 ? this.#family(message) : await this.#run(message, type, dump)
      const end = dump ? done(sequence) : acknowledge(sequence)
      return [...replies, end].map((each) => datagram(each))
    } catch (error) {
      if (!(error instanceof LinuxError) || error.errno === undefined) throw error
      const words = new AttributeWriter()
      words.put(NLMSGERR_ATTR_MSG, new TextEncoder().encode(`${error.message}\0`))
      return [datagram(acknowledge(sequence, ERRNO[error.errno], words.bytes()))]
    }
  }

  #family({ payload, sequence }: NetlinkMessage): Uint8Array[] {
    const asked: Request = decodeAttributes(nlctrl, 'ctrl-attrs', payload.subarray(4))
    const name = asked['family-name'] ?? ''
    const values = {
      'family-id': IDS[name],
      'family-name': name,
      ops: Array.from({ length: 60 }, (_, id) => ({ id })),
    }
    return [reply(sequence, 'ctrl-attrs', values, { flags: 0, family: nlctrl, id: 16 })]
  }

  async #run(
    { payload, sequence }: NetlinkMessage,
    id: number,
    dump: boolean,
  ): Promise<Uint8Array[]> {
    const family = FAMILIES.find(({ name }) => IDS[name] === id)
    const found = Object.entries(family?.operations ?? {}).find(
      ([, { request }]) => request === payload[0],
    )
    if (family === undefined || found === undefined) throw new Error(`no operation ${payload[0]}`)
    const [name, { set }] = found
    const request: Request = decodeAttributes(family, set, payload.subarray(4))
    const { header, ...rest } = request
    const target = header?.['dev-index'] ?? request.ifindex ?? this.#ifindex
    if (target !== this.#ifindex)
      throw new LinuxError('NETMEM_SYSCALL_FAILED', 'no device', { errno: 'ENODEV' })
    if (!/-get$/.test(name)) this.exchange.push(`${name} ${summary(rest)}`)
    const objects = await this.#do(name, request, dump)
    return objects.map((object) =>
      reply(
        sequence,
        set,
        { ...(header === undefined ? {} : { header }), ...object },
        {
          flags: dump ? 2 : 0,
          family,
          id,
        },
      ),
    )
  }

  async #do(name: string, request: Request, dump: boolean): Promise<object[]> {
    const card = this.#card
    switch (name) {
      case 'rings-get': {
        const { tcpDataSplit, hdsThresh } = await card.rings()
        return [defined({ 'tcp-data-split': tcpDataSplit, 'hds-thresh': hdsThresh })]
      }
      case 'rings-set':
        await card.setRings({
          tcpDataSplit: request['tcp-data-split'],
          hdsThresh: request['hds-thresh'],
        })
        return []
      case 'features-get': {
        const names = ['rx-ntuple-filter', 'rx-gro-hw', 'rx-checksum']
        const hw: object[] = []
        const active: object[] = [{ name: 'rx-checksum' }]
        for (const each of names) {
          const on = await card.feature(each)
          hw.push(on === undefined ? { name: each } : { name: each, value: true })
          if (on === true) active.push({ name: each })
        }
        return [{ hw: { bits: { bit: hw } }, active: { nomask: true, bits: { bit: active } } }]
      }
      case 'features-set':
        for (const { name: feature = '', value = false } of request.wanted?.bits?.bit ?? []) {
          await card.setFeature(feature, value)
        }
        return [{ active: { bits: { bit: [] } } }]
      case 'rss-get': {
        const table = await card.table()
        if (dump) {
          const contexts = [...(await card.contexts())]
          return [
            ...(table === undefined ? [] : [{ indir: table }]),
            ...contexts.map(([context, indir]) => ({ context, indir })),
          ]
        }
        if (table === undefined) throw unsupported()
        return [{ indir: table }]
      }
      case 'rss-set': {
        const { indir = [] } = request
        await card.setTable(indir.length === 0 ? 'default' : indir)
        return []
      }
      case 'rss-create-act': {
        const { indir = [] } = request
        const context = await card.createContext(indir)
        if (context === undefined) throw unsupported()
        return [{ context, indir }]
      }
      case 'rss-delete-act':
        await card.deleteContext(request.context ?? 0)
        return []
      case 'queue-get': {
        const ifindex = this.#ifindex
        if (!dump)
          return [{ ifindex, id: request.id, type: 'rx', 'napi-id': 500 + (request.id ?? 0) }]
        const count = await card.rxQueues()
        return ['rx', 'tx'].flatMap((type) =>
          Array.from({ length: count }, (_, id) => ({ ifindex, id, type })),
        )
      }
      case 'napi-get':
        return [{ id: request.id, ifindex: this.#ifindex }]
      default:
        throw new Error(`${name} is not played`)
    }
  }

  /** The ioctl is answered at once, and the model in promises: its rules are kept here as well. */
  #flowRules(): FlowRules {
    const card = this.#card
    return new FlowRules(
      (bytes) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset)
        const rules = card.rulesNow
        const locations = [...rules.keys()]
        switch (view.getUint32(0, true)) {
          case ETHTOOL_GRXCLSRLCNT:
            view.setUint32(8, 64, true)
            view.setUint32(184, locations.length, true)
            break
          case ETHTOOL_GRXCLSRLALL:
            view.setUint32(184, locations.length, true)
            for (const [at, one] of locations.entries()) view.setUint32(188 + 4 * at, one, true)
            break
          case ETHTOOL_GRXCLSRULE: {
            const rule = rules.get(locationOf(bytes))
            if (rule === undefined) throw new Error('no such rule')
            bytes.set(insertion(rule.match, rule.target, locationOf(bytes)).subarray(4), 4)
            break
          }
          case ETHTOOL_SRXCLSRLINS: {
            const rule = steeringRule(bytes)
            this.exchange.push(`rule ${locationOf(bytes)} ${summary(rule)}`)
            card.insertNow(rule, locationOf(bytes))
            break
          }
          case ETHTOOL_SRXCLSRLDEL:
            this.exchange.push(`rule ${locationOf(bytes)} deleted`)
            card.deleteNow(locationOf(bytes))
            break
          default:
            throw new Error('not a command of flow rules')
        }
      },
      () => undefined,
    )
  }
}

function steeringRule(bytes: Uint8Array): CardRule {
  const read = ruleOf(bytes)
  if (read === undefined) throw new Error('a rule that cannot be read')
  const { location: _, queue, rssContext, ...match } = read
  if (rssContext !== undefined) return { match, target: { rssContext } }
  return { match, target: { queue: queue ?? -1 } }
}

function unsupported(): LinuxError {
  return new LinuxError('NETMEM_SYSCALL_FAILED', 'Operation not supported', { errno: 'EOPNOTSUPP' })
}

function defined(values: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

/** Attributes on one line. A table is shown by the queues in it and its length. */
function summary(values: object): string {
  return JSON.stringify(values, (name: string, value: unknown) =>
    name === 'indir' && Array.isArray(value)
      ? `${[...new Set(value)].join()} in ${value.length}`
      : value,
  )
}
