/** dma-bufs as memory: exporters, providers for page pools, and access by the host. */

export { adoptDmaBuf } from './adopt-dma-buf.ts'
export {
  DmaBuf,
  type DmaBufAccess,
  type DmaBufMapping,
  type DmaBufSync,
  type DmaBufUse,
} from './dma-buf.ts'
export type { DmaBufNetIovProvider, DmaBufPageProvider } from './dma-buf-providers.ts'
export { createDmaHeapBuffer, type DmaHeapOptions, dmaHeaps } from './dma-heap.ts'
export { type DmaHeapProviderOptions, dmaHeapProvider } from './dma-heap-provider.ts'
export {
  type DmaBufOffer,
  type OfferDmaBufOptions,
  type OfferedBinding,
  offerDmaBuf,
} from './offer-dma-buf.ts'
export { type ReceivedDmaBuf, receiveDmaBuf } from './receive-dma-buf.ts'
export { createUdmabuf, type UdmabufOptions } from './udmabuf.ts'
export {
  type DmaBufLayout,
  type UdmabufProviderOptions,
  udmabufProvider,
} from './udmabuf-provider.ts'
