// Offloads that are refused. Every kernel with TAP interfaces takes them, so another descriptor is asked.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { EFD_NONBLOCK, eventfd } from '../../../linux/sys/index.ts'
import { refusalOf } from './open-queues.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

it('a queue that takes no offloads is used without, and has the reason of the kernel', {
  skip,
}, () => {
  using counter = eventfd(0, EFD_NONBLOCK)
  assert.match(refusalOf([counter]) ?? '', /ioctl.*ENOTTY/)
})
