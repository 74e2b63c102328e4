// A dma-buf for tests of what the kernel checks before it looks at one: machines without udmabuf get a
// memfd in its place.
import { existsSync } from 'node:fs'
import { DmaBuf } from '../dma-buf/dma-buf.ts'
import { createUdmabuf, sealedMemfd } from '../dma-buf/udmabuf.ts'

export function anyDmaBuf(bytes: number = 2 ** 16): DmaBuf {
  if (existsSync('/dev/udmabuf')) return createUdmabuf({ bytes })
  return new DmaBuf({ exporter: 'memfd', bytes, descriptor: sealedMemfd(bytes, false) })
}
