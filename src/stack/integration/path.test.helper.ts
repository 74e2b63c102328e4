/** The whole path, for tests: a device, its NIC and link, a driver, flows, sockets. */

import assert from 'node:assert/strict'
import type { Netmem, Page } from '../../netmem.ts'
import { createPool, dualPool } from '../../pool/create-pool.ts'
import type { Frag } from '../../pool/frag.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { sharedProvider } from '../../providers/shared.ts'
import { end, some } from '../../testing/pools.test.helper.ts'
import { type TcpFrameOptions, tcpFrame } from '../../wire/build-frame.test.helper.ts'
import { IPPROTO_TCP } from '../../wire/ip.ts'
import type { DeviceHash, DeviceMemory, DmaBuf } from '../host/device/device-memory.ts'
import {
  type DeviceThread,
  type DeviceThreadOptions,
  openDeviceThread,
} from '../host/device/device-thread.ts'
import type { Nic, NicOptions } from '../host/device/nic.ts'
import { bindRx, type RxBinding } from '../host/driver/bind-rx.ts'
import { NetmemDriver, openNetmemDriver } from '../host/driver/netmem-driver.ts'
import { openPageDriver, type PageDriver } from '../host/driver/page-driver.ts'
import type { QueueOptions } from '../host/driver/queue-options.ts'
import type { FlowKey } from '../host/flow/flow-key.ts'
import { FlowTable } from '../host/flow/flow-table.ts'
import { Reassembler } from '../host/flow/reassembler.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { DevmemSocket } from '../host/socket/devmem-socket.ts'
import { type FragReceiver, receiveFrags } from '../host/socket/frags.ts'
import type { DevmemSocketOptions } from '../host/socket/messages.ts'
import { createInlineDevice } from '../testing/inline-device.test.helper.ts'

export const PAGE = 4096

/** One direction of a connection. */
export interface Flow {
  readonly key: FlowKey
  readonly socket: DevmemSocket
  readonly reassembler: Reassembler
  readonly receiver: FragReceiver
}

export interface PathOptions {
  readonly device?: DeviceThreadOptions
  /** Runs the device in this thread. */
  readonly inline?: boolean
  /** Driver of plain pages, or the one that can be bound, which is the default. */
  readonly driver?: 'page' | 'netmem'
  readonly nic: NicOptions
  /** Queues that get device memory. */
  readonly bound?: readonly number[]
  /** Pages of each pool: 64 by default. */
  readonly pages?: number
  readonly dmabufBytes?: number
  readonly queues?: Partial<QueueOptions>
  readonly socket?: DevmemSocketOptions
  /** Sees each packet before its flow does, which does not get it where this returns true. */
  readonly seen?: (skb: AnySkb) => unknown
}

export class Path {
  readonly device: DeviceThread
  readonly nic: Nic
  readonly memory: DeviceMemory
  readonly dmabuf: DmaBuf
  readonly table: FlowTable<Flow>
  /** Flows in the order in which they began. */
  readonly flows: Flow[] = []
  readonly pools: (PagePool<Page> | PagePool<Netmem>)[] = []
  binding: RxBinding | undefined
  packets = 0
  #driver: PageDriver | NetmemDriver | undefined
  readonly #options: PathOptions

  private constructor(
    options: PathOptions,
    device: DeviceThread,
    nic: Nic,
    memory: DeviceMemory,
    dmabuf: DmaBuf,
  ) {
    this.#options = options
    this.device = device
    this.nic = nic
    this.memory = memory
    this.dmabuf = dmabuf
    this.table = new FlowTable<Flow>((key) => this.#begin(key))
  }

  static async open(options: PathOptions): Promise<Path> {
    const device =
      options.inline === true
        ? createInlineDevice()
        : await openDeviceThread(options.device ?? { stepped: true })
    const memory = await device.openMemory(2 ** 21)
    const bytes = options.dmabufBytes ?? 2 ** 19
    // Scattered pieces, as in the memory of a GPU.
    const segments = [bytes / 4, bytes / 2, bytes / 4]
    const dmabuf = await memory.exportDmaBuf({ bytes, segments })
    const nic = await device.openNic({ up: false, ...options.nic })
    const path = new Path(options, device, nic, memory, dmabuf)
    await path.#open()
    return path
  }

  get driver(): PageDriver | NetmemDriver {
    return some(this.#driver)
  }

  get netmemDriver(): NetmemDriver {
    const driver = this.#driver
    assert.ok(driver instanceof NetmemDriver)
    return driver
  }

  async bind(...queues: number[]): Promise<RxBinding> {
    const { dmabuf } = this
    this.binding = await bindRx(this.netmemDriver, { dmabuf, queues })
    // Does what `ethtool -X` would: RSS brings other flows to other queues, if there are any.
    const others = [...Array(this.nic.queues).keys()].filter((queue) => !queues.includes(queue))
    const { length } = others
    if (length > 0) {
      await this.nic.setRssTable(Array.from({ length: 128 }, (_, at) => others[at % length] ?? 0))
    }
    return this.binding
  }

  /** Lets a stepped device receive `frames` frames at most of those due by `untilNs`, and polls. */
  async step(untilNs: number, frames?: number): Promise<number> {
    const received = await this.device.run(untilNs, frames)
    while (this.driver.poll() > 0);
    return received
  }

  /** Injects frames and steps until they are through. */
  async through(...frames: readonly Uint8Array[]): Promise<void> {
    assert.equal(await this.nic.inject(frames), frames.length)
    await this.step(1e9)
  }

  /** The only flow. */
  get flow(): Flow {
    assert.equal(this.flows.length, 1)
    return some(this.flows[0])
  }

  /** Feeds frags to a hash, device memory where it lies, and releases them. */
  async feed(hash: DeviceHash, frags: readonly Frag[]): Promise<void> {
    for (const frag of frags) {
      if (frag.kind === 'page') await hash.updateBytes(frag.bytes)
      else await hash.update(this.dmabuf, [{ offset: frag.offset, length: frag.length }])
      frag.release()
    }
  }

  /** Ends all of it, and sees that nothing is out. */
  async close(): Promise<void> {
    for (const { socket, reassembler } of this.flows) {
      reassembler.close()
      socket.close()
    }
    await this.binding?.close()
    await this.#driver?.close()
    await this.binding?.released()
    assert.equal(this.binding?.inflight ?? 0, 0)
    await end(...this.pools)
    await this.nic.close()
    await this.memory.close()
    await this.device.close()
  }

  async #open(): Promise<void> {
    const { driver = 'netmem', nic, bound = [], pages = 64, queues } = this.#options
    const headerPool = createPool(sharedProvider({ pages: 64, pageSize: PAGE }))
    const layout = { pages, pageSize: PAGE }
    const options = { headerPool, ringSize: 32, ...queues }
    const count = nic.queues ?? 1
    this.pools.push(headerPool)
    const deliver = (skb: AnySkb): void => this.#deliver(skb)
    if (driver === 'page') {
      const pools = Array.from({ length: count }, () => createPool(sharedProvider(layout)))
      this.pools.push(...pools)
      this.#driver = await openPageDriver(this.nic, { ...options, pools, deliver })
    } else {
      const pools = Array.from({ length: count }, () => dualPool(sharedProvider(layout)))
      this.pools.push(...pools)
      this.#driver = await openNetmemDriver(this.nic, { ...options, pools, deliver })
    }
    if (bound.length > 0) await this.bind(...bound)
    if (nic.up !== false) await this.nic.up()
  }

  #begin(key: FlowKey): Flow {
    const socket = new DevmemSocket(this.#options.socket)
    const reassembler = new Reassembler((skb) => void socket.queue(skb))
    const flow = { key, socket, reassembler, receiver: receiveFrags(socket) }
    this.flows.push(flow)
    return flow
  }

  #deliver(skb: AnySkb): void {
    this.packets++
    if (this.#options.seen?.(skb) === true) return
    const flow = this.table.demux(skb)
    // UDP packets belong to no stream.
    if (flow === undefined || this.table.layout.protocol !== IPPROTO_TCP) {
      skb.free()
      return
    }
    flow.reassembler.receive(skb, this.table.layout)
    const { state } = flow.reassembler
    if (state === 'finished' || state === 'reset') flow.socket.fin()
  }
}

/** A TCP frame of the flow that these tests watch. */
export function tcp(
  seq: number,
  payload: Uint8Array,
  options: Partial<TcpFrameOptions> = {},
): Uint8Array {
  return tcpFrame({ seq, payload, ...options })
}

/** `length` bytes that can be told from others. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8) * 7 + seed * 101) & 0xff)
}

/** An ARP request, which no NIC splits. */
export function arp(): Uint8Array {
  const frame = new Uint8Array(60)
  frame.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1])
  return frame
}
