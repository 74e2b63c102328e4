/** Memory that is bound. */

import { createDmaHeapBuffer, createUdmabuf, type DmaBuf } from '../../linux/index.ts'

/** Makes the memory that `--dmabuf` names. */
export function makeDmaBuf(kind: string, bytes: number): DmaBuf {
  return kind === 'udmabuf'
    ? createUdmabuf({ bytes })
    : createDmaHeapBuffer({ heap: kind.slice('heap:'.length), bytes })
}
