/**
 * One flow through the user-space stack: a generator's frames in the device's thread, NIC, driver,
 * skb, reassembly and socket, up to the code that takes the data.
 */

import { createHash } from 'node:crypto'
import { createPool, dualPool, sharedProvider } from 'netmem'
import {
  type AnySkb,
  bindRx,
  type DeviceThread,
  DevmemSocket,
  type DmaBuf,
  FlowTable,
  type FragReceiver,
  MSG_SOCK_DEVMEM,
  type Nic,
  openDeviceThread,
  openNetmemDriver,
  openPageDriver,
  Reassembler,
  receiveFrags,
} from 'netmem/stack'
import { Collections } from './gc.ts'
import { answer } from './processes.ts'

export interface StackRequest {
  readonly memory: 'page driver' | 'netmem driver' | 'device memory'
  /** Checksums of the generator's frames: left `partial`, as by a local sender, or `complete`, which the NIC verifies. */
  readonly checksum: 'partial' | 'complete'
  /** Consumer of the data: frags as they come, messages in batches, or a loop that awaits each frag. */
  readonly take: 'frags' | 'recvmsg' | 'for await' | 'hash'
  /** True if the NIC makes one packet of several segments. */
  readonly coalesce: boolean
  readonly warmUp: number
  readonly bytes: number
}

/** The largest payload in an Ethernet frame of 9,000 bytes with IPv4 and timestamps. */
const MSS = 8948
const RING = 256

/** A consumer's socket, and a function to call for every byte taken. */
interface Taking {
  readonly socket: DevmemSocket
  readonly frags: FragReceiver
  readonly took: (bytes: number) => void
  readonly done: () => boolean
}

function takeFrags({ frags, took }: Taking): void {
  for (let frag = frags.take(); frag !== undefined; frag = frags.take()) {
    took(frag.length)
    frag.release()
  }
}

async function takeAwaiting({ frags, took, done }: Taking): Promise<void> {
  for await (const frag of frags) {
    took(frag.length)
    frag.release()
    if (done()) return
  }
}

async function takeMessages({ socket, took, done }: Taking): Promise<void> {
  const message = {
    iov: [new Uint8Array(4 * 1024 * 1024)],
    control: new Uint8Array(40 * 512),
    flags: MSG_SOCK_DEVMEM,
  }
  // Tokens are given back before the next call: they are 1 to 512 every time.
  const tokens = [{ start: 1, count: 512 }]
  while (!done()) {
    await socket.whenReadable()
    while (socket.readable) {
      const { bytes, controlBytes } = socket.recvmsg(message)
      took(bytes)
      if (controlBytes > 0) socket.dontneed(tokens)
    }
  }
}

/** Hashes what arrives, where it is. */
async function hashAll(
  device: DeviceThread,
  dmabuf: DmaBuf | undefined,
  taking: Taking,
): Promise<string> {
  const host = createHash('sha256')
  const there = await device.openHash()
  for await (const frag of taking.frags) {
    taking.took(frag.length)
    if (frag.kind === 'page') host.update(frag.bytes)
    else if (dmabuf !== undefined) await there.update(dmabuf, [frag])
    frag.release()
    if (taking.done()) break
  }
  return dmabuf === undefined ? host.digest('hex') : await there.digest()
}

async function run(request: StackRequest): Promise<unknown> {
  const { memory, checksum, take, coalesce, warmUp, bytes } = request
  await using device = await openDeviceThread()
  device.ref()
  const totalBytes = warmUp + bytes
  const link = { kind: 'generator', mssBytes: MSS, totalBytes, checksum, handshake: true } as const
  const nic = await device.openNic({ link, up: false, settings: { pause: true } })
  const socket = new DevmemSocket()
  const frags = receiveFrags(socket)
  let taken = 0
  let startedAt = 0n
  const collections = new Collections()
  let finish = (): void => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const taking: Taking = {
    socket,
    frags,
    took: (more) => {
      taken += more
      if (startedAt === 0n && taken >= warmUp) {
        collections.start()
        startedAt = process.hrtime.bigint()
      }
      if (taken >= totalBytes) finish()
    },
    done: () => taken >= totalBytes,
  }
  const flows = new FlowTable(
    () =>
      new Reassembler((skb) => {
        socket.queue(skb)
        if (take === 'frags') takeFrags(taking)
      }),
  )
  const deliver = (skb: AnySkb): void => {
    const flow = flows.demux(skb)
    if (flow === undefined) skb.free()
    else flow.receive(skb, flows.layout)
  }
  const { close, dmabuf } = await open(device, nic, memory, coalesce, deliver)
  await nic.up()
  let sha256: string | undefined
  if (take === 'hash') sha256 = await hashAll(device, dmabuf, taking)
  else if (take === 'for await') await takeAwaiting(taking)
  else if (take === 'recvmsg') await takeMessages(taking)
  await finished
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9
  const { minor, major } = await collections.stop()
  const { rx_packets, rx_hw_drops, rx_csum_unnecessary } = nic.stats().device
  if (taken !== totalBytes || rx_hw_drops > 0 || rx_csum_unnecessary !== rx_packets) {
    throw new Error(
      `${taken} of ${totalBytes} bytes, ${rx_hw_drops} of ${rx_packets} frames dropped`,
    )
  }
  socket.close()
  await close()
  if (sha256 !== undefined) return sha256
  return { gbPerS: bytes / 1e9 / seconds, minorPerGb: minor / (bytes / 1e9), major }
}

/** Opens the driver with twice the memory that its ring holds. */
async function open(
  device: DeviceThread,
  nic: Nic,
  memory: StackRequest['memory'],
  coalesce: boolean,
  deliver: (skb: AnySkb) => void,
): Promise<{ readonly close: () => Promise<void>; readonly dmabuf: DmaBuf | undefined }> {
  const pageSize = coalesce ? 65_536 : 16_384
  const layout = { pages: 2 * RING, pageSize }
  const headerPool = createPool(sharedProvider({ pages: 64, pageSize: 4096 }))
  const options = { headerPool, ringSize: RING, coalesce, deliver }
  if (memory === 'page driver') {
    const pool = createPool(sharedProvider(layout))
    const driver = await openPageDriver(nic, { ...options, pools: [pool] })
    driver.run()
    return { dmabuf: undefined, close: () => close(driver, pool, headerPool) }
  }
  const pool = dualPool(sharedProvider(layout))
  const driver = await openNetmemDriver(nic, { ...options, pools: [pool] })
  if (memory === 'netmem driver') {
    driver.run()
    return { dmabuf: undefined, close: () => close(driver, pool, headerPool) }
  }
  const bytes = layout.pages * pageSize
  const gpu = await device.openMemory(bytes)
  const dmabuf = await gpu.exportDmaBuf({ bytes })
  const binding = await bindRx(driver, { dmabuf, queues: [0] })
  driver.run()
  return {
    dmabuf,
    close: async () => {
      await binding.close()
      await binding.released()
      await close(driver, pool, headerPool)
    },
  }
}

interface Destroyable {
  readonly out: number
  destroy(): Promise<void>
}

/** Fails when anything is out. */
async function close(
  driver: { close(): Promise<void> },
  ...pools: readonly Destroyable[]
): Promise<void> {
  await driver.close()
  for (const pool of pools) {
    if (pool.out !== 0) throw new Error(`${pool.out} pages are out after the run`)
    await pool.destroy()
  }
}

answer(run)
