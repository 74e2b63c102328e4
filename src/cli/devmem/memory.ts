/** Memory that is bound. */

import type { DmaBuf } from '../../linux/dma-buf/dma-buf.ts'
import { createDmaHeapBuffer } from '../../linux/dma-buf/dma-heap.ts'
import { createUdmabuf } from '../../linux/dma-buf/udmabuf.ts'

/** Makes the memory that `--dmabuf` names. */
export function makeDmaBuf(kind: string, bytes: number): DmaBuf {
  return kind === 'udmabuf'
    ? createUdmabuf({ bytes })
    : createDmaHeapBuffer({ heap: kind.slice('heap:'.length), bytes })
}
