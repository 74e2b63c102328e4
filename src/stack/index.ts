/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `netmem/stack`: Device Memory TCP in user space. Frames come from a link; a NIC steers them to
 * queues, splits headers from payload and writes both by DMA; a driver makes skbs of them; flows put
 * them in order; a socket hands out bytes, or tokens for what the host cannot read.
 *
 * `docs/stack.md` walks one packet through it.
 *
 * @module
 */

export type { DmaAddress, DmaSegment } from '../providers/dma-address.ts'
export { type DmabufProvider, type DmabufReport, dmabufProvider } from '../providers/dmabuf.ts'
export { DeviceError, type Errno } from './device-error.ts'
export {
  type BindableDmaBuf,
  type BindRxOptions,
  bindRx,
  type DmaBufAttachment,
  type RxBinding,
} from './driver/bind-rx.ts'
export type { QueueOptions } from './driver/driver-queues.ts'
export { NetmemDriver, type NetmemDriverOptions } from './driver/netmem-driver.ts'
export type { NicPort } from './driver/nic-port.ts'
export { PageDriver, type PageDriverOptions } from './driver/page-driver.ts'
export type { RxQueueStats } from './driver/rx-queue.ts'
export {
  type PostedBuffer,
  RX_CHECKSUM_OK,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_SPLIT,
  RxCompletion,
  type RxFrontEnd,
} from './nic/rx-front-end.ts'
export {
  DriverRxRing,
  type HeaderPage,
  makeDoorbell,
  makeRxRings,
  NicRxRing,
  type RxRings,
} from './nic/shared-rings.ts'
export { type AnySkb, MAX_SKB_FRAGS, type Skb, SkbCache } from './skb/skb.ts'
