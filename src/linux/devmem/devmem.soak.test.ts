// Bindings come and go without a descriptor or a byte left.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { isNetmemError } from '../../errors.ts'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { rounds } from '../../testing/rounds.test.helper.ts'
import { createDmaHeapBuffer, createUdmabuf, udmabufProvider } from '../dma-buf/index.ts'
import { anyDmaBuf } from './any-dma-buf.test.helper.ts'
import { bindRx } from './bind.ts'

const LO = 1
const skip = process.platform === 'linux' ? false : 'needs Linux'

/** Memory of memfds in the whole machine, in KiB. */
function sharedKiB(): number {
  return Number(/^Shmem: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1])
}

it('10,000 dma-bufs are made and closed', { skip }, () => {
  const before = openDescriptors()
  const sharedBefore = sharedKiB()
  for (let nth = 0; nth < rounds(10_000); nth++) {
    if (!existsSync('/dev/udmabuf')) anyDmaBuf(4096).close()
    else if (nth % 3 === 0) createDmaHeapBuffer({ bytes: 4096 }).close()
    else if (nth % 3 === 1) createUdmabuf({ bytes: 4096 }).close()
    else udmabufProvider({ pages: 1, pageSize: 4096, kind: 'net_iov' }).close()
  }
  assert.deepEqual(openDescriptors(), before)
  const stay = sharedKiB() - sharedBefore
  assert.ok(stay < 16 * 1024, `${stay} KiB stay`)
})

it('1,000 bindings are refused, each with a netlink socket of its own', { skip }, async () => {
  using dmabuf = anyDmaBuf()
  const before = openDescriptors()
  for (let nth = 0; nth < rounds(1000); nth++) {
    await assert.rejects(bindRx({ ifindex: LO, queues: [0], dmabuf }), isNetmemError)
  }
  await noneOpenSince(before)
})
