/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Binds a dma-buf to RX queues, so that the payload they receive lands in device memory: the netdev
 * family's bind-rx (Linux, Documentation/netlink/specs/netdev.yaml, net/core/devmem.c).
 */

import { checkInteger, type OptionNames, ownOptions } from '../../../errors.ts'
import type { Binding, Netmem } from '../../../netmem.ts'
import { dualPool } from '../../../pool/create-pool.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { DmaSegment } from '../../../providers/dma-address.ts'
import { type DmaBufProvider, dmaBufProvider } from '../../../providers/dma-buf.ts'
import { DeviceError } from '../../device-error.ts'
import { netIovDmaMap } from './dma-map.ts'
import type { DriverNic } from './driver-nic.ts'
import { NetmemDriver } from './netmem-driver.ts'
import { unlessGone } from './unless-gone.ts'

/** Device memory that can be bound. */
export interface BindableDmaBuf {
  /** Size of the dma-buf in bytes. */
  readonly bytes: number
  /**
   * Maps the dma-buf for a NIC.
   *
   * @throws NETMEM_DMABUF_INVALID, as a rejection, if it is closed.
   * @throws NETMEM_BIND_UNSUPPORTED, as a rejection, if the NIC cannot reach it.
   */
  attach(nic: DriverNic): Promise<DmaBufAttachment>
}

/** Mapping of a dma-buf for one NIC. */
export interface DmaBufAttachment {
  /** Scatter list, in the order of the dma-buf. */
  readonly segments: readonly DmaSegment[]
  /** Unmaps the dma-buf. */
  detach(): Promise<void>
}

/** Options of {@link bindRx}. */
export interface BindRxOptions {
  /** Memory to bind. */
  readonly dmabuf: BindableDmaBuf
  /** Numbers of the queues to bind. All take from one pool of the dma-buf's net_iovs. */
  readonly queues: readonly number[]
  /** Bytes of a net_iov: a power of two of 4 KiB to 2 MiB. Default: bytes of the driver's buffers, at least 4 KiB. */
  readonly pageSize?: number
}

const NAMES: OptionNames<BindRxOptions> = { dmabuf: true, queues: true, pageSize: true }

/** Smallest net_iov. */
const MIN_PAGE_BYTES = 4096

/** Ids of bindings go round, as the kernel's do: an id is not used again soon. */
const MAX_BINDING_ID = 2 ** 31 - 1
let lastId = 0

/**
 * Restarts queues of a driver with memory of a dma-buf. Other queues run on. If one of the queues
 * does not start, all of them run with their pages again.
 *
 * @throws NETMEM_BIND_UNSUPPORTED for a driver of plain pages, or a NIC that cannot reach the memory.
 * @throws NETMEM_DEVICE_CLOSED for a driver that is closed.
 * @throws NETMEM_BIND_QUEUE for queues that the driver does not run, or a queue named twice.
 * @throws NETMEM_BIND_HEADER_SPLIT unless the driver splits all headers.
 * @throws NETMEM_BIND_BUSY for a queue that is bound.
 * @throws NETMEM_BIND_ORDER if a net_iov is smaller than the driver's buffers.
 * @throws NETMEM_DMABUF_INVALID for a dma-buf that is closed.
 * @throws NETMEM_DMABUF_UNALIGNED unless all segments are multiples of `pageSize`.
 * @throws NETMEM_BIND_IGNORED if the driver runs a queue without the memory.
 * @throws NETMEM_NIC_CONFIG or NETMEM_NIC_BUSY if the NIC does not start a queue.
 * @throws NETMEM_INVALID_ARGUMENT for an unknown option.
 *
 * @example
 * ```ts
 * import { createPool, dualPool, sharedProvider } from 'netmem'
 * import { bindRx, openDeviceThread, openNetmemDriver } from 'netmem/stack'
 *
 * const device = await openDeviceThread()
 * const nic = await device.openNic({ link: { kind: 'injected' } })
 * const driver = await openNetmemDriver(nic, {
 *   headerPool: createPool(sharedProvider({ pages: 64, pageSize: 4096 })),
 *   pools: [dualPool(sharedProvider({ pages: 256, pageSize: 4096 }))],
 *   deliver: (skb) => skb.free(),
 * })
 * const dmabuf = await (await device.openMemory(2 ** 20)).exportDmaBuf({ bytes: 2 ** 20 })
 * const binding = await bindRx(driver, { dmabuf, queues: [0] })
 * console.log(binding.inflight) // 256 net_iovs: all are posted
 * await binding.close()
 * await binding.released()
 * await driver.close()
 * await device.close()
 * ```
 */
export async function bindRx(device: NetmemDriver, options: BindRxOptions): Promise<RxBinding> {
  const own = ownOptions('bindRx()', options, NAMES)
  const { dmabuf, queues } = own
  checkDevice(device, queues)
  const bufferBytes = device.options.bufferBytes ?? device.options.pools[0]?.pageSize ?? 0
  const pageSize = own.pageSize ?? Math.max(MIN_PAGE_BYTES, bufferBytes)
  if (bufferBytes > checkInteger('pageSize', pageSize, MIN_PAGE_BYTES, 2 ** 21)) {
    throw new DeviceError(
      'NETMEM_BIND_ORDER',
      'E2BIG',
      `The driver posts ${bufferBytes} bytes at once and a net_iov has ${pageSize}. Bind larger ones, or open the driver with a smaller bufferBytes.`,
    )
  }
  for (const queue of queues) device.bound.add(queue)
  let undo = async (): Promise<void> => {}
  try {
    const attachment = await dmabuf.attach(device.nic)
    undo = () => unlessGone(attachment.detach())
    const binding = new RxBinding(device, dmabuf.bytes, attachment, pageSize)
    undo = () => binding.close()
    for (const queue of queues) await binding.start(queue)
    device.bindings.add(binding)
    return binding
  } catch (error) {
    await undo()
    for (const queue of queues) device.bound.delete(queue)
    throw error
  }
}

/** Binding of a dma-buf to RX queues, made by {@link bindRx}. */
export class RxBinding implements Binding, AsyncDisposable {
  /** Id in the messages of sockets: from 1. */
  readonly id: number
  readonly #device: NetmemDriver
  readonly #attachment: DmaBufAttachment
  readonly #queues: number[] = []
  readonly #provider: DmaBufProvider
  /** One for all queues: what one leaves idle another can take. */
  readonly #pool: PagePool<Netmem>
  #closing: Promise<void> | undefined
  #released: Promise<void> | undefined

  /** @internal */
  constructor(device: NetmemDriver, bytes: number, attachment: DmaBufAttachment, pageSize: number) {
    lastId = lastId === MAX_BINDING_ID ? 1 : lastId + 1
    this.id = lastId
    this.#device = device
    this.#attachment = attachment
    const { segments } = attachment
    this.#provider = dmaBufProvider({ id: lastId, bytes, segments }, { pageSize })
    this.#pool = dualPool({ ...this.#provider, binding: this })
  }

  /** Numbers of the queues that it is bound to. */
  get queues(): readonly number[] {
    return [...this.#queues]
  }

  /** Number of net_iovs that the provider has not got back: posted, held, or resting in a pool. */
  get inflight(): number {
    return this.#pool.inflight
  }

  /**
   * Unbinds: restarts its queues with pages. Resolves when they run. Frags that the application holds stay
   * valid, and the dma-buf stays mapped until the last of them is released: see {@link released}.
   *
   * Rejects, and stays bound, if a queue does not start.
   */
  close(): Promise<void> {
    this.#closing ??= this.#unbind().catch((error: unknown) => {
      this.#closing = undefined
      throw error
    })
    return this.#closing
  }

  /** Resolves when the binding is closed, its last net_iov is back, and the dma-buf is unmapped. */
  async released(): Promise<void> {
    await this.#closing
    await this.#released
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal Restarts one queue with memory of the dma-buf. */
  async start(queue: number): Promise<void> {
    const pool = this.#pool
    const { out } = pool
    await this.#device.restart(queue, pool, netIovDmaMap(this.#provider), true)
    this.#queues.push(queue)
    if (pool.out > out) return
    throw new DeviceError(
      'NETMEM_BIND_IGNORED',
      'ENODATA',
      `The driver runs queue ${queue} without device memory: ${pool.available} of ${pool.capacity} net_iovs are free. Export a larger dma-buf, or open the driver with a smaller ringSize.`,
    )
  }

  /** @internal Called when the device is gone and its queues are stopped. */
  uninstall(): void {
    this.#closing ??= Promise.resolve()
    this.#release()
  }

  async #unbind(): Promise<void> {
    for (const queue of this.#queues) await this.#device.usePages(queue)
    this.#release()
  }

  #release(): void {
    if (this.#released !== undefined) return
    this.#device.bindings.delete(this)
    for (const queue of this.#queues) this.#device.bound.delete(queue)
    this.#provider.uninstall()
    this.#released = this.#pool.destroy().then(() => unlessGone(this.#attachment.detach()))
    this.#released.catch(() => {})
  }
}

function checkDevice(device: NetmemDriver, queues: readonly number[]): void {
  if (!(device instanceof NetmemDriver)) {
    throw new DeviceError(
      'NETMEM_BIND_UNSUPPORTED',
      'EOPNOTSUPP',
      'The driver of this device knows pages alone. Open the NIC with openNetmemDriver().',
    )
  }
  if (device.isClosing) {
    throw new DeviceError('NETMEM_DEVICE_CLOSED', 'ENODEV', 'The driver is closed; open it again.')
  }
  const { pools, split, splitThresholdBytes } = device.options
  const distinct = new Set(queues)
  const inRange = queues.every(
    (queue) => Number.isInteger(queue) && queue >= 0 && queue < pools.length,
  )
  if (queues.length === 0 || distinct.size !== queues.length || !inRange) {
    throw new DeviceError(
      'NETMEM_BIND_QUEUE',
      'EINVAL',
      `Name one or more of the queues 0 to ${pools.length - 1}, each once; not [${queues.join(', ')}].`,
    )
  }
  if (split !== 'headers' || splitThresholdBytes !== 0) {
    throw new DeviceError(
      'NETMEM_BIND_HEADER_SPLIT',
      'EINVAL',
      'Headers have to be split from payload, all of them. Open the driver with split "headers" and splitThresholdBytes 0.',
    )
  }
  const busy = queues.find((queue) => device.bound.has(queue))
  if (busy === undefined) return
  throw new DeviceError(
    'NETMEM_BIND_BUSY',
    'EEXIST',
    `Queue ${busy} is bound already; close that binding first.`,
  )
}
