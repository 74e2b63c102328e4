/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `netmem/stack`: Device Memory TCP in user space. Frames come from a link. A NIC steers them to
 * queues, splits headers from payload and writes both by DMA. A driver makes skbs of them, flows put
 * the skbs in order, and a socket hands out bytes, or tokens for device memory.
 *
 * `docs/stack.md` follows one packet through it, file by file. The entry points `netmem/stack/link`,
 * `netmem/stack/rings` and `netmem/stack/wire` are for authors of links, drivers and NICs.
 *
 * @module
 */

export type { DmaAddress, DmaSegment } from '../providers/dma-address.ts'
// Device memory.
export { type DmaBufProvider, type DmaBufReport, dmaBufProvider } from '../providers/dma-buf.ts'
// The socket.
export {
  type ControlMessage,
  DEVMEM_CMSG_SPACE,
  parseControl,
  SCM_DEVMEM_DMABUF,
  SCM_DEVMEM_LINEAR,
  SOL_SOCKET,
} from '../wire/control-messages.ts'
export { type DeviceErrno, DeviceError } from './device-error.ts'
export type {
  DeviceHash,
  DeviceMemory,
  DeviceRange,
  DeviceRanges,
  DmaBuf,
} from './host/device/device-memory.ts'
export type { DeviceObject } from './host/device/device-object.ts'
export {
  type DeviceThread,
  type DeviceThreadOptions,
  openDeviceThread,
} from './host/device/device-thread.ts'
export type { InjectOptions, Nic, NicOptions } from './host/device/nic.ts'
// Drivers.
export {
  type BindableDmaBuf,
  type BindRxOptions,
  bindRx,
  type DmaBufAttachment,
  type RxBinding,
} from './host/driver/bind-rx.ts'
export type { Driver } from './host/driver/driver.ts'
export type { DriverNic } from './host/driver/driver-nic.ts'
export {
  type NetmemDriver,
  type NetmemDriverOptions,
  openNetmemDriver,
} from './host/driver/netmem-driver.ts'
export {
  openPageDriver,
  type PageDriver,
  type PageDriverOptions,
} from './host/driver/page-driver.ts'
export type { QueueOptions } from './host/driver/queue-options.ts'
export type { DriverQueueStats } from './host/driver/rx-queue.ts'
// Flows.
export { FlowKey } from './host/flow/flow-key.ts'
export { FlowTable, type FlowTableStats } from './host/flow/flow-table.ts'
export { Reassembler } from './host/flow/reassembler.ts'
export type {
  ReassemblerOptions,
  ReassemblerStats,
  StreamState,
} from './host/flow/stream-types.ts'
// Packets.
export { coalesce } from './host/skb/coalesce.ts'
export { checksumOf, copyBits, pull } from './host/skb/readable.ts'
export { type AnySkb, MAX_SKB_FRAGS, type Skb, type SkbCache } from './host/skb/skb.ts'
export { createNetIovSkbCache, createPageSkbCache } from './host/skb/skb-cache.ts'
export { DevmemSocket } from './host/socket/devmem-socket.ts'
export { type FragReceiver, receiveFrags } from './host/socket/frags.ts'
export {
  type DevmemSocketOptions,
  type DevmemSocketStats,
  MAX_DONTNEED_RANGES,
  MAX_DONTNEED_TOKENS,
  MSG_PEEK,
  MSG_SOCK_DEVMEM,
  type ReceivedMessage,
  type ReceiveMessage,
  type TokenRange,
} from './host/socket/messages.ts'
// Links that a NIC can have, by description.
export type { CaptureOptions } from './link/capture/capture-link.ts'
export type { FaultOptions } from './link/fate.ts'
export type { GeneratorOptions } from './link/generator.ts'
export type { LinkSpec, LinkSpecs, TapReport, WithFaults } from './link/link-spec.ts'
export type { TapOptions } from './link/tap/tap-link.ts'
// Replays of capture files.
export { type ReplayOptions, replay } from './replay/replay.ts'
export type { FlowBytes, FlowReport } from './replay/replay-flow.ts'
export type { ReplayDrops, ReplayReport, ReplayTotals } from './replay/replay-report.ts'
// Rules, features and counters of a NIC.
export type { RxRingFaults } from './rings/faulty-rx-ring.ts'
export type {
  NicDeviceStats,
  NicFeatures,
  NicStats,
  RxQueueConfig,
  RxQueueStats,
  SteeringMasks,
  SteeringRule,
  TxQueueStats,
} from './rings/nic-types.ts'
