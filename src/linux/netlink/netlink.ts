/// <reference lib="esnext.disposable" preserve="true" />

/** The netlink client: operations, dumps, notifications and policies of families of the kernel. */

import { ArgumentTypeError } from '../../errors.ts'
import {
  buildMessage,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
} from '../../wire/netlink.ts'
import { encodeAttributes } from '../../wire/netlink-encode.ts'
import { NETLINK_GENERIC } from '../sys/index.ts'
import type { Family, FamilyTables, NamesWith, Operations, ReplyOf, RequestOf } from './family.ts'
import { nlctrl } from './generated/nlctrl.ts'
import type { NlctrlCtrlAttrs } from './generated/nlctrl-types.ts'
import { decodeEvent, decodeReply, headOf, operationOf, protocolOf, refusal } from './messages.ts'
import { clientClosed, NetlinkError } from './netlink-error.ts'
import { type OperationPolicy, operationPolicy } from './policy.ts'
import { type KernelAnswer, Requests } from './requests.ts'
import { NetlinkSubscription } from './subscription.ts'
import type { NetlinkTransport } from './transport.ts'

/** Options of {@link Netlink.do} and {@link Netlink.dump}. */
export interface NetlinkRequestOptions {
  /** Gives the request up. Its reply is dropped when it comes, and what it did is not undone. */
  readonly signal?: AbortSignal
  /** True to make an object that is not there yet, as `newlink` does (NLM_F_CREATE, NLM_F_EXCL). */
  readonly create?: boolean
}

/** Result of a dump. */
export interface NetlinkDump<Reply> {
  /** Objects in the kernel's order. */
  readonly replies: readonly Reply[]
  /**
   * True if the objects changed during the dump and during five repetitions: one may be missing or be
   * there twice.
   */
  readonly interrupted: boolean
}

/** A family of the running kernel. */
export interface NetlinkFamilyInfo {
  /** Number of the family, which is the type of its messages. */
  readonly id: number
  /** Numbers of its operations. */
  readonly operations: ReadonlySet<number>
  /** Numbers of its multicast groups by name. */
  readonly groups: ReadonlyMap<string, number>
}

/** Makes the sockets of a client. */
export interface NetlinkSockets {
  /** Opens a socket of a netlink protocol. */
  readonly open: (protocol: number, receiveBufferBytes: number | undefined) => NetlinkTransport
  /** Ends when the client does. */
  readonly close: () => void
}

/** Type of the messages of the family `nlctrl`, which knows all others. */
const GENL_ID_CTRL = 16

/**
 * A client of the kernel's netlink. {@link openNetlink} makes one. Requests run one at a time in their
 * order. A dma-buf that `bind-rx` or `bind-tx` has bound stays bound until `close()`. Disposable.
 */
export class Netlink implements Disposable {
  readonly #sockets: NetlinkSockets
  readonly #requests = new Map<number, Requests>()
  readonly #families = new Map<string, Promise<NetlinkFamilyInfo>>()
  readonly #subscriptions = new Set<Disposable>()
  #isClosed = false

  /** @internal */
  constructor(sockets: NetlinkSockets) {
    this.#sockets = sockets
    // Opens the socket now, so that errors come from here.
    this.#requestsOf(NETLINK_GENERIC)
  }

  /**
   * Runs an operation, and returns its reply. Operations that the kernel only acknowledges return
   * undefined.
   *
   * @param family such as {@link netdev} or {@link ethtool}.
   * @param operation name in the specification, such as `bind-rx`.
   * @param request attributes with the names of the specification.
   * @throws NETMEM_NETLINK_REFUSED with the kernel's errno and words, NETMEM_NETLINK_NO_FAMILY,
   *   NETMEM_NETLINK_OVERRUN, NETMEM_NETLINK_TRUNCATED, NETMEM_NETLINK_MALFORMED,
   *   NETMEM_NETLINK_CLOSED, NETMEM_ABORTED, NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE, as a
   *   rejection.
   */
  do<All extends Operations<All>, Events extends object, Name extends NamesWith<All, 'do'>>(
    family: Family<All, Events>,
    operation: Name,
    request: RequestOf<All, Name, 'do'>,
    options?: NetlinkRequestOptions,
  ): Promise<ReplyOf<All, Name, 'do'>>
  async do(
    family: FamilyTables,
    operation: string,
    request: object,
    options: NetlinkRequestOptions = {},
  ): Promise<unknown> {
    const row = operationOf(family, operation)
    const { payloads } = await this.#ask(family, operation, request, false, options)
    if (row.reply === undefined) return undefined
    return decodeReply(family, operation, row, payloads[0] ?? new Uint8Array(0))
  }

  /**
   * Lists all objects of an operation. A dump whose objects change while it runs is repeated at most
   * five times.
   *
   * @param request attributes that limit the list, such as `{ ifindex: 2 }`.
   * @throws As {@link do}, as a rejection.
   */
  dump<All extends Operations<All>, Events extends object, Name extends NamesWith<All, 'dump'>>(
    family: Family<All, Events>,
    operation: Name,
    request?: RequestOf<All, Name, 'dump'>,
    options?: NetlinkRequestOptions,
  ): Promise<NetlinkDump<ReplyOf<All, Name, 'dump'>>>
  async dump(
    family: FamilyTables,
    operation: string,
    request: object = {},
    options: NetlinkRequestOptions = {},
  ): Promise<NetlinkDump<unknown>> {
    const row = operationOf(family, operation)
    const { payloads, interrupted } = await this.#ask(family, operation, request, true, options)
    const replies = payloads.map((payload) => decodeReply(family, operation, row, payload))
    return { replies, interrupted }
  }

  /**
   * Subscribes to a multicast group, such as `mgmt` or `page-pool` of {@link netdev}. The subscription
   * has a separate socket. It gets all notifications from the moment that this resolves.
   *
   * @param receiveBufferBytes room for notifications that the caller has not taken. By default that of the
   *   client.
   * @throws NETMEM_NETLINK_NO_FAMILY, NETMEM_NETLINK_CLOSED, NETMEM_INVALID_ARGUMENT for a group that
   *   the family lacks, or NETMEM_SYSCALL_FAILED, as a rejection.
   */
  async subscribe<All extends Operations<All>, Events extends object>(
    family: Family<All, Events>,
    group: string,
    { receiveBufferBytes }: { readonly receiveBufferBytes?: number } = {},
  ): Promise<NetlinkSubscription<Events>> {
    const info = await this.family(family)
    const number = info.groups.get(group)
    if (number === undefined) {
      throw new ArgumentTypeError(
        'NETMEM_INVALID_ARGUMENT',
        `The family ${family.name} has no group ${JSON.stringify(group)}; it has ${[...info.groups.keys()].join(', ')}.`,
      )
    }
    if (this.#isClosed) throw clientClosed()
    const transport = this.#sockets.open(protocolOf(family), receiveBufferBytes)
    try {
      transport.join(number)
    } catch (error) {
      transport.close()
      throw error
    }
    const subscription = new NetlinkSubscription<Events>(
      transport,
      (type, payload) => decodeEvent<Events>(family, type, payload),
      (ended) => this.#subscriptions.delete(ended),
    )
    this.#subscriptions.add(subscription)
    return subscription
  }

  /**
   * Asks the kernel what it accepts in the attributes of an operation, or returns undefined if it has
   * no such operation. Old kernels have no policies for some operations: those are `{}`.
   *
   * @throws As {@link do}, as a rejection.
   */
  async policy<All extends Operations<All>, Events extends object>(
    family: Family<All, Events>,
    operation: keyof All & string,
    options: NetlinkRequestOptions = {},
  ): Promise<OperationPolicy | undefined> {
    const { set, request } = operationOf(family, operation)
    const { id } = await this.family(family)
    const parts = { 'family-id': id, ...(request !== undefined && { op: request }) }
    try {
      const { replies } = await this.dump(nlctrl, 'getpolicy', parts, options)
      return operationPolicy(replies, family, set)
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error
      // K: net/netlink/genetlink.c, ctrl_dumppolicy_start().
      if (error.errno === 'ENOENT' || error.errno === 'EOPNOTSUPP') return undefined
      if (error.errno === 'ENODATA') return {}
      throw error
    }
  }

  /**
   * Asks the kernel if it has an operation, and the attribute in its requests. Returns false also where
   * it has no such family.
   *
   * @throws As {@link do}, as a rejection.
   */
  async supports<All extends Operations<All>, Events extends object>(
    family: Family<All, Events>,
    operation: keyof All & string,
    attribute?: string,
  ): Promise<boolean> {
    try {
      if (attribute === undefined) {
        const { operations } = await this.family(family)
        return operations.has(operationOf(family, operation).request ?? -1)
      }
      const policy = await this.policy(family, operation)
      return Object.hasOwn(policy?.do ?? policy?.dump ?? {}, attribute)
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'NETMEM_NETLINK_NO_FAMILY') return false
      throw error
    }
  }

  /**
   * Returns what the kernel says of a family of generic netlink. It is asked once.
   *
   * @throws NETMEM_NETLINK_NO_FAMILY if the kernel does not have it, as a rejection.
   */
  family(family: FamilyTables): Promise<NetlinkFamilyInfo> {
    let info = this.#families.get(family.name)
    if (info === undefined) {
      info = this.#look(family)
      this.#families.set(family.name, info)
      // A module may be loaded later.
      info.catch(() => this.#families.delete(family.name))
    }
    return info
  }

  /**
   * Closes all sockets. This unbinds dma-bufs, ends subscriptions and rejects requests. A second call has
   * no effect.
   */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const subscription of [...this.#subscriptions]) subscription[Symbol.dispose]()
    for (const requests of this.#requests.values()) requests.close()
    this.#sockets.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #look(family: FamilyTables): Promise<NetlinkFamilyInfo> {
    const groups = new Map(Object.entries(family.groups))
    if (family.protocol !== undefined) {
      const numbers = Object.values(family.operations).flatMap((row) => row.request ?? [])
      return { id: family.protocol, operations: new Set(numbers), groups }
    }
    if (family.name === nlctrl.name) {
      return { id: GENL_ID_CTRL, operations: new Set([3, 10]), groups }
    }
    try {
      const info = await this.do(nlctrl, 'getfamily', { 'family-name': family.name })
      return familyInfo(info)
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== 'ENOENT') throw error
      throw new NetlinkError(
        'NETMEM_NETLINK_NO_FAMILY',
        `This kernel has no netlink family ${family.name}. A newer kernel, or a module, may have it.`,
        { errno: 'ENOENT', cause: error },
      )
    }
  }

  async #ask(
    family: FamilyTables,
    operation: string,
    values: object,
    isDump: boolean,
    { signal, create = false }: NetlinkRequestOptions,
  ): Promise<KernelAnswer> {
    const row = operationOf(family, operation)
    const head = headOf(family, row, values)
    const attributes = encodeAttributes(family, row.set, head.attributes)
    const { id } = await this.family(family)
    const type = family.protocol === undefined ? id : (row.request ?? 0)
    const mode = isDump ? NLM_F_DUMP : NLM_F_ACK
    const flags = NLM_F_REQUEST | mode | (create ? NLM_F_CREATE | NLM_F_EXCL : 0)
    const what = `${family.name} ${operation}`
    const answer = await this.#requestsOf(protocolOf(family)).request({
      what,
      isDump,
      build: (sequence) => buildMessage(type, flags, sequence, head.bytes, attributes),
      signal,
    })
    if (answer.acknowledgement.errno !== 0) throw refusal(family, what, row, answer)
    return answer
  }

  #requestsOf(protocol: number): Requests {
    if (this.#isClosed) throw clientClosed()
    let requests = this.#requests.get(protocol)
    if (requests === undefined) {
      requests = new Requests(this.#sockets.open(protocol, undefined))
      this.#requests.set(protocol, requests)
    }
    return requests
  }
}

function familyInfo(attributes: NlctrlCtrlAttrs): NetlinkFamilyInfo {
  const { ops = [], 'mcast-groups': groups = [], 'family-id': id = 0 } = attributes
  return {
    id,
    operations: new Set(ops.flatMap((operation) => operation.id ?? [])),
    groups: new Map(
      groups.flatMap(({ name, id: number }) =>
        name === undefined || number === undefined ? [] : [[name, number] as const],
      ),
    ),
  }
}
