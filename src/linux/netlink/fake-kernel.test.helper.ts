// A transport that plays the kernel: it answers requests with what a test says, also wrongly.
import {
  buildMessage,
  type NetlinkMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseMessages,
} from '../../wire/netlink.ts'
import { encodeAttributes } from '../../wire/netlink-encode.ts'
import type { FamilyTables } from './family.ts'
import { netdev } from './generated/netdev.ts'
import { nlctrl } from './generated/nlctrl.ts'
import { Netlink } from './netlink.ts'
import type { NetlinkTransport, Received } from './transport.ts'

/** Number of the family netdev here. */
const NETDEV_ID = 20
const NLMSG_MULTI = 2
export const DUMP_INTERRUPTED = 0x10

export function datagram(...messages: readonly Uint8Array[]): Received {
  return { kind: 'datagram', bytes: Buffer.concat(messages) }
}

/** A reply of generic netlink. */
export function reply(
  sequence: number,
  set: string,
  values: object,
  {
    flags = NLMSG_MULTI,
    family = netdev,
    id = NETDEV_ID,
    command = 0,
  }: {
    readonly flags?: number
    readonly family?: FamilyTables
    readonly id?: number
    readonly command?: number
  } = {},
): Uint8Array {
  const head = Uint8Array.of(command, 1, 0, 0)
  return buildMessage(id, flags, sequence, head, encodeAttributes(family, set, values))
}

export function acknowledge(
  sequence: number,
  errno = 0,
  attributes: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const head = new Uint8Array(20)
  new DataView(head.buffer).setInt32(0, -errno, true)
  return buildMessage(
    NLMSG_ERROR,
    attributes.length > 0 ? 0x300 : 0x100,
    sequence,
    head,
    attributes,
  )
}

export function done(
  sequence: number,
  errno = 0,
  flags = 0,
  attributes: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const head = new Uint8Array(4)
  new DataView(head.buffer).setInt32(0, -errno, true)
  const tlvs = attributes.length > 0 ? 0x200 : 0
  return buildMessage(NLMSG_DONE, NLMSG_MULTI | flags | tlvs, sequence, head, attributes)
}

/** Answers to the requests that a test is about: those to the family, not those to nlctrl. */
export type Answer = (request: NetlinkMessage, nth: number) => readonly Received[]

export class FakeKernel implements NetlinkTransport {
  /** Requests that came, but for those to nlctrl. */
  readonly requests: NetlinkMessage[] = []
  readonly joined: number[] = []
  isClosed = false
  readonly #answer: Answer
  readonly #queue: Received[] = []
  #wake: (() => void) | undefined

  constructor(answer: Answer) {
    this.#answer = answer
  }

  send(message: Uint8Array): void {
    const [request] = parseMessages(message.slice())
    if (request === undefined) throw new Error('an empty request')
    if (request.type === 16) this.#queue.push(...family(request.sequence))
    else {
      this.requests.push(request)
      this.#queue.push(...this.#answer(request, this.requests.length))
    }
  }

  receive(): Received | undefined {
    return this.#queue.shift()
  }

  readable(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      signal?.addEventListener('abort', () => resolve())
    })
  }

  join(group: number): void {
    this.joined.push(group)
  }

  unref(): void {}

  /** The kernel sends something without a request. */
  push(...received: readonly Received[]): void {
    this.#queue.push(...received)
    this.#wake?.()
  }

  close(): void {
    this.isClosed = true
    this.#wake?.()
  }
}

/** A transport with some of its functions replaced. */
export function wrapTransport(
  transport: NetlinkTransport,
  replaced: Partial<NetlinkTransport>,
): NetlinkTransport {
  return {
    send: (message) => transport.send(message),
    receive: () => transport.receive(),
    readable: (signal) => transport.readable(signal),
    join: (group) => transport.join(group),
    unref: () => transport.unref(),
    close: () => transport.close(),
    ...replaced,
  }
}

function family(sequence: number): Received[] {
  const values = {
    'family-id': NETDEV_ID,
    'family-name': 'netdev',
    ops: [{ id: 1 }, { id: 10 }],
    'mcast-groups': [
      { name: 'mgmt', id: 6 },
      { name: 'page-pool', id: 7 },
    ],
  }
  const info = reply(sequence, 'ctrl-attrs', values, { flags: 0, family: nlctrl, id: 16 })
  return [datagram(info), datagram(acknowledge(sequence))]
}

/** A client whose sockets are fake kernels. */
export function fakeNetlink(answer: Answer): { netlink: Netlink; kernels: FakeKernel[] } {
  const kernels: FakeKernel[] = []
  const open = () => {
    const kernel = new FakeKernel(answer)
    kernels.push(kernel)
    return kernel
  }
  return { netlink: new Netlink({ open, close: () => {} }), kernels }
}
