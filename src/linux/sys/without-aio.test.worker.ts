// Program that watches a descriptor, and says how many eventfds its bell has opened: 1 with
// asynchronous I/O, and none without.
import { openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { EFD_NONBLOCK, eventfd, POLLIN, read, watch, write } from './index.ts'

const eventfds = (): number => openDescriptors().filter((each) => each.includes('eventfd')).length

using counter = eventfd(0, EFD_NONBLOCK)
const before = eventfds()
using watching = watch(counter.fd, POLLIN)
for (let round = 0; round < 3; round++) {
  const ready = watching.ready()
  write(counter.fd, new BigUint64Array([1n]))
  if ((await ready) !== POLLIN) throw new Error('another event came')
  read(counter.fd, new BigUint64Array(1))
}
await turns()
console.log(`eventfds: ${eventfds() - before}`)
