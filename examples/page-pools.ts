/**
 * Lists page pools: the kernel's, with the memory that each has out, and those of netmem programs that
 * offer theirs.
 *
 *   node build/examples/page-pools.js
 */

import { openNetlink } from 'netmem/linux'
import { kernelPools, offeredPools } from 'netmem/observe'

const netlink = await openNetlink()
const { pools } = await kernelPools(netlink)
netlink.close()

console.log(`page pools of the kernel: ${pools.length}`)
for (const { id, interface: of, queues, inflightBytes, detachedSeconds, memory } of pools) {
  const where = of === undefined ? 'an interface that is gone' : `${of.name} queue ${queues.join()}`
  const state = detachedSeconds === undefined ? '' : `, given up ${detachedSeconds} s ago`
  console.log(`${id}: ${where}, ${memory.kind}, ${inflightBytes} bytes in flight${state}`)
}

for (const offer of await offeredPools()) {
  if (offer.kind === 'failed') continue
  for (const { name, held, pageSize } of offer.pools) {
    const bytes = (netmem: number): string => `${netmem * pageSize} bytes`
    console.log(
      `${offer.program} ${name}: ${bytes(held.application)} in the application, ${bytes(held.sockets)} in sockets`,
    )
  }
}
