// A process that binds to lo, and says how the kernel refused. Its memory is a memfd in a dma-buf's
// place: rights and interface are checked first.
import { DmaBuf } from '../dma-buf/dma-buf.ts'
import { sealedMemfd } from '../dma-buf/udmabuf.ts'
import { bindRx, bindTx } from './bind.ts'

const LO = 1
const dmabuf = new DmaBuf({ exporter: 'memfd', bytes: 4096, descriptor: sealedMemfd(4096, false) })
const answers = [
  () => bindRx({ ifindex: LO, queues: [0], dmabuf }),
  () => bindTx({ ifindex: LO, dmabuf }),
]
for (const bind of answers) {
  await bind().then(
    () => console.log('bound'),
    (error: unknown) => console.log(error instanceof Error && Reflect.get(error, 'code')),
  )
}
dmabuf.close()
