// Descriptors, watches, mappings and descriptors under way, closed in every order.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import {
  AF_UNIX,
  controlSpace,
  dup,
  EFD_NONBLOCK,
  eventfd,
  ftruncate,
  map,
  memfdCreate,
  POLLIN,
  SOCK_STREAM,
  SocketMessage,
  socketpair,
  watch,
} from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((first, at) =>
    ordersOf(items.toSpliced(at, 1)).map((rest) => [first, ...rest]),
  )
}

it('descriptors are closed in every order, and nothing is left', { skip }, async () => {
  await turns()
  const before = openDescriptors()
  const orders = ordersOf([0, 1, 2, 3, 4])
  assert.equal(orders.length, 120)
  for (const [index, five] of orders.entries()) {
    // The copy of a descriptor takes each place among the five in turn.
    const order = five.toSpliced(index % 6, 0, 5)
    const [near, far] = socketpair(AF_UNIX, SOCK_STREAM)
    const file = memfdCreate('netmem-orders', 0)
    ftruncate(file.fd, 4096)
    const counter = eventfd(0, EFD_NONBLOCK)
    const mapping = map(file.fd, 4096)
    const watches = [far, counter].map(({ fd }) => watch(fd, POLLIN))
    const events = watches.map((each) => each.ready())
    const message = new SocketMessage({ controlBytes: controlSpace(8) })
    message.setBytes(0, new Uint8Array(1))
    message.setDescriptors([file.fd, counter.fd])
    message.send(near.fd)
    const copy = dup(counter.fd)
    const closing = [
      () => near.close(),
      () => far.close(),
      () => file.close(),
      () => counter.close(),
      () => mapping.unmap(),
      () => copy.close(),
    ]
    for (const at of order) closing[at]?.()
    assert.ok([0, POLLIN].includes((await events[0]) ?? -1))
    assert.equal(await events[1], 0)
    mapping.bytes[0] = 1
  }
  await turns()
  await noneOpenSince(before)
  assert.doesNotMatch(readFileSync('/proc/self/maps', 'utf8'), /netmem-orders/)
})
