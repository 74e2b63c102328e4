// A process that takes the dma-buf of the socket in its arguments, writes to it, and says what it has.
import { receiveDmaBuf } from './index.ts'

const [, , path = '', text = ''] = process.argv
try {
  const { dmabuf, binding } = await receiveDmaBuf(path)
  const mapping = dmabuf.map()
  const access = dmabuf.sync('write')
  mapping.bytes.set(new TextEncoder().encode(text))
  access.end()
  mapping.unmap()
  const { exporter, bytes } = dmabuf
  dmabuf.close()
  console.log(JSON.stringify({ exporter, bytes, binding }))
} catch (error) {
  console.log(JSON.stringify({ code: error instanceof Error && Reflect.get(error, 'code') }))
}
