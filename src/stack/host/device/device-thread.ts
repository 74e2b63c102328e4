/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A device in the stack's thread. The device itself lives in a worker, and shares only descriptor
 * rings and host pages with the stack. No bytes of its memory come here unless `read` asks for
 * them.
 */

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ArgumentTypeError, type OptionNames, ownOptions } from '../../../errors.ts'
import { DeviceError } from '../../device-error.ts'
import { createDoorbell } from '../../rings/doorbell.ts'
import { DeviceHash, DeviceMemory, type DeviceRanges, type DmaBuf } from './device-memory.ts'
import { Nic, type NicOptions } from './nic.ts'
import { type DeviceTransport, WorkerTransport } from './worker-transport.ts'

/** Options of {@link openDeviceThread}. */
export interface DeviceThreadOptions {
  /** The device's clock stands still but for {@link DeviceThread.run}: the same seed is the same run. False by default. */
  readonly stepped?: boolean
  /**
   * The script of the device's thread: `netmem/stack/device.worker` of this package, which a
   * bundler may have put elsewhere. By default the file `device.worker.js` beside this module.
   */
  readonly script?: URL
}

const NAMES: OptionNames<DeviceThreadOptions> = { stepped: true, script: true }

/**
 * Starts a device. Resolves when the worker runs. An idle device does not keep the process alive, unless
 * asked to by `ref()`. Pending calls and readers of transmitted frames keep it alive.
 *
 * @throws NETMEM_DEVICE_CLOSED, as a rejection, when the worker does not start, as in a bundle that
 *   lacks its script.
 *
 * @example
 * ```ts
 * import { openDeviceThread } from 'netmem/stack'
 *
 * const device = await openDeviceThread()
 * const memory = await device.openMemory(2 ** 20)
 * const dmabuf = await memory.exportDmaBuf({ bytes: 65_536 })
 * await device.write(dmabuf, 0, Uint8Array.of(97, 98, 99))
 * console.log(await device.hash(dmabuf, [{ offset: 0, length: 3 }])) // ba7816bf…
 * await device.close()
 * ```
 */
export async function openDeviceThread(options: DeviceThreadOptions = {}): Promise<DeviceThread> {
  const own = ownOptions('openDeviceThread()', options, NAMES)
  const doorbell = createDoorbell()
  const { stepped = false } = own
  const transport = new WorkerTransport(scriptOf(own), { doorbell, stepped })
  await transport.call('hello', [])
  return new DeviceThread(transport, doorbell)
}

/** The worker's script, which has to be there: a worker's own error would not say what to do. */
function scriptOf({ script }: DeviceThreadOptions): URL {
  const url = script ?? scriptBesideThis()
  if (url.protocol !== 'file:' || existsSync(url)) return url
  throw missingScript(`The script of the device's thread is missing: ${fileURLToPath(url)}.`)
}

function scriptBesideThis(): URL {
  try {
    // The package has the script in this place, and a bundle beside itself.
    const inPackage = new URL('../../device/device.worker.js', import.meta.url)
    return existsSync(inPackage) ? inPackage : new URL('device.worker.js', import.meta.url)
  } catch {
    throw missingScript('A bundle of CommonJS modules does not know where its files are.')
  }
}

function missingScript(what: string): DeviceError {
  const remedy =
    'Keep netmem out of the bundle, or bundle netmem/stack/device.worker as a file of its own and pass its URL as `script`.'
  return new DeviceError('NETMEM_DEVICE_CLOSED', 'ENODEV', `${what} ${remedy}`)
}

/**
 * Device of a thread: memory, NICs and their links. It handles calls in their order.
 *
 * Errors of calls are rejections. Each call can end with NETMEM_DEVICE_CLOSED, which it does after
 * `close()` and after the worker's death.
 */
export class DeviceThread implements AsyncDisposable {
  /** Doorbell to make the rings of its NICs' queues with. */
  readonly doorbell: SharedArrayBuffer
  /** @internal */
  readonly transport: DeviceTransport
  readonly #regions = new Map<SharedArrayBuffer, Promise<number>>()
  readonly #mapped = new Map<number, SharedArrayBuffer>()
  #nics = 0
  #held = false

  /** @internal */
  constructor(transport: DeviceTransport, doorbell: SharedArrayBuffer) {
    this.transport = transport
    this.doorbell = doorbell
  }

  /** Resolves when the device has ended: with the reason, unless it was closed. */
  get closed(): Promise<DeviceError | undefined> {
    return this.transport.closed
  }

  /**
   * Makes device memory, all zero.
   *
   * @param bytes 1 to 2^31.
   * @throws NETMEM_OUT_OF_RANGE for another size.
   */
  async openMemory(bytes: number): Promise<DeviceMemory> {
    const memory = await this.transport.call('memory-create', [bytes])
    return new DeviceMemory(this.transport, memory, bytes)
  }

  /**
   * Maps shared memory of the host for the device. Resolves with the number of its region, which is
   * the same each time that a buffer is mapped.
   *
   * @throws NETMEM_INVALID_ARGUMENT for memory that is not a SharedArrayBuffer.
   */
  mapHost(memory: SharedArrayBuffer): Promise<number> {
    if (!(memory instanceof SharedArrayBuffer)) {
      return Promise.reject(
        new ArgumentTypeError(
          'NETMEM_INVALID_ARGUMENT',
          'The device reaches only a SharedArrayBuffer. Make the pool from sharedProvider().',
        ),
      )
    }
    const known = this.#regions.get(memory)
    if (known !== undefined) return known
    const mapped = this.transport.call('host-map', [memory])
    this.#regions.set(memory, mapped)
    mapped.then(
      (region) => this.#mapped.set(region, memory),
      () => this.#regions.delete(memory),
    )
    return mapped
  }

  /**
   * Unmaps memory of {@link mapHost}. The device must not have it posted.
   *
   * @throws NETMEM_DMA_FAULT for a region that is not mapped.
   */
  async unmap(region: number): Promise<void> {
    const memory = this.#mapped.get(region)
    this.#mapped.delete(region)
    if (memory !== undefined) this.#regions.delete(memory)
    await this.transport.call('host-unmap', [region])
  }

  /**
   * Copies a range of a dma-buf.
   *
   * @param offset first byte of the range.
   * @param length bytes of the range.
   * @throws NETMEM_DMA_FAULT for a range beyond the dma-buf.
   */
  read(dmabuf: DmaBuf, offset: number, length: number): Promise<Uint8Array> {
    return this.transport.call('dmabuf-read', [dmabuf.id, offset, length])
  }

  /**
   * Writes to a dma-buf. The caller may use `bytes` again at once.
   *
   * @param offset byte of the dma-buf where `bytes` begin.
   * @throws NETMEM_DMA_FAULT for a range beyond the dma-buf.
   */
  async write(dmabuf: DmaBuf, offset: number, bytes: Uint8Array): Promise<void> {
    const data = new Uint8Array(bytes)
    await this.transport.call('dmabuf-write', [dmabuf.id, offset, data], [data.buffer])
  }

  /**
   * Computes the SHA-256 of ranges of a dma-buf, one after the other, in hexadecimal.
   *
   * @throws NETMEM_DMA_FAULT for a range beyond the dma-buf.
   */
  async hash(dmabuf: DmaBuf, ranges: DeviceRanges): Promise<string> {
    await using hash = await this.openHash()
    await hash.update(dmabuf, ranges)
    return await hash.digest()
  }

  /** Begins a SHA-256 that is fed piece by piece. */
  async openHash(): Promise<DeviceHash> {
    return new DeviceHash(this.transport, await this.transport.call('hash-open', []), 'hash-close')
  }

  /**
   * Makes a NIC with its link.
   *
   * @throws NETMEM_NIC_CONFIG for an unknown kind of link.
   */
  openNic(options: NicOptions): Promise<Nic> {
    return Nic.make(this, ++this.#nics, options)
  }

  /**
   * Lets time pass on a stepped device until `untilNs`, and receives exactly the frames that are due by
   * then. Resolves with their number.
   *
   * @param untilNs time of the device's clock, in ns.
   * @param frames number of frames after which it stops early. Default: no limit.
   * @throws NETMEM_NIC_CONFIG unless the device is stepped.
   */
  run(untilNs: number, frames: number = Number.MAX_SAFE_INTEGER): Promise<number> {
    return this.transport.call('run', [untilNs, frames])
  }

  /**
   * Keeps the process alive until {@link unref} or the device's end. Call it before waiting for an
   * interrupt of its rings, since the wait alone does not keep the process alive.
   */
  ref(): void {
    if (!this.#held) this.transport.hold()
    this.#held = true
  }

  /** Lets the process end while the device is idle, as it does at first. */
  unref(): void {
    if (this.#held) this.transport.release()
    this.#held = false
  }

  /** Ends the device after all earlier calls, and frees all that it has. A second call is harmless. */
  close(): Promise<void> {
    return this.transport.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
