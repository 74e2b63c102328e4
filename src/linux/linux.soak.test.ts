// Ten thousand of each, and neither a descriptor nor memory is left.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { noneOpenSince, openDescriptors } from '../testing/descriptors.test.helper.ts'
import { rounds } from '../testing/rounds.test.helper.ts'
import { hugeMemory, netdev, openNetlink } from './index.ts'
import {
  AF_UNIX,
  controlSpace,
  dup,
  eventfd,
  ftruncate,
  MFD_CLOEXEC,
  map,
  memfdCreate,
  O_RDONLY,
  open,
  POLLIN,
  SOCK_STREAM,
  SocketMessage,
  socketpair,
  watch,
  write,
} from './sys/index.ts'

const MIB = 1024 * 1024
const skip = process.platform === 'linux' ? false : 'needs Linux'

/**
 * Runs `step` twice for its rounds. The first time the engine's heap grows to its size. After it memory
 * may grow by `slack` bytes, however many rounds there are.
 */
async function leavesNothing(step: () => unknown, count: number, slack: number): Promise<void> {
  const resident = async () => {
    for (let collections = 0; collections < 3; collections++) {
      globalThis.gc?.()
      await turn()
    }
    return process.memoryUsage.rss()
  }
  const before = openDescriptors()
  for (let round = 0; round < count; round++) await step()
  const warm = await resident()
  for (let round = 0; round < count; round++) await step()
  const grown = (await resident()) - warm
  await noneOpenSince(before)
  assert.ok(grown < slack, `grown by ${grown} bytes in ${count} rounds`)
}

describe('over and over', { skip }, () => {
  it('netlink clients ask, list, subscribe and close', async () => {
    const step = async () => {
      using netlink = await openNetlink()
      const subscription = await netlink.subscribe(netdev, 'mgmt')
      const next = subscription[Symbol.asyncIterator]().next()
      const { replies } = await netlink.dump(netdev, 'dev-get')
      await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 0 }), { errno: 'ERANGE' })
      netlink.close()
      assert.deepEqual(await next, { done: true, value: undefined })
      assert.ok(replies.length > 0)
    }
    await leavesNothing(step, rounds(1_000), 32 * MIB)
  })

  it('files, memfds, events and sockets are opened and closed', async () => {
    const step = () => {
      using file = open('/dev/null', O_RDONLY)
      using copy = dup(file.fd)
      using memory = memfdCreate('netmem', MFD_CLOEXEC)
      ftruncate(memory.fd, 4096)
      using event = eventfd(0, 0)
      const pair = socketpair(AF_UNIX, SOCK_STREAM)
      for (const end of pair) end.close()
      return copy.open && event.open
    }
    await leavesNothing(step, rounds(10_000), 16 * MIB)
  })

  it('descriptors are passed from one socket to another', async () => {
    const [left, right] = socketpair(AF_UNIX, SOCK_STREAM)
    using one = left
    using other = right
    using event = eventfd(0, 0)
    const sent = new SocketMessage({ controlBytes: controlSpace(4) })
    const received = new SocketMessage({ controlBytes: controlSpace(4) })
    sent.setBytes(0, new Uint8Array([1]))
    received.setBytes(0, new Uint8Array(1))
    const step = () => {
      sent.setDescriptors([event.fd])
      sent.send(one.fd)
      received.receive(other.fd)
      for (const descriptor of received.takeDescriptors()) descriptor.close()
    }
    await leavesNothing(step, rounds(10_000), 16 * MIB)
  })

  it('descriptors are watched', async () => {
    const one = new BigUint64Array([1n])
    const step = async () => {
      using event = eventfd(0, 0)
      using watching = watch(event.fd, POLLIN)
      write(event.fd, one)
      assert.equal(await watching.ready(), POLLIN)
    }
    await leavesNothing(step, rounds(10_000), 16 * MIB)
  })

  it('files are mapped', async () => {
    using file = memfdCreate('netmem', MFD_CLOEXEC)
    ftruncate(file.fd, MIB)
    const step = () => {
      using mapping = map(file.fd, MIB, { shared: true })
      mapping.bytes[0] = 1
    }
    await leavesNothing(step, rounds(10_000), 64 * MIB)
  })

  it('memory in huge pages is allocated, written and dropped', async () => {
    const step = async () => {
      for (const shared of [true, false] as const) {
        const memory = await (shared ? hugeMemory(16 * MIB, { shared }) : hugeMemory(16 * MIB))
        for (let at = 0; at < memory.length; at += 4096) memory[at] = 1
      }
      // Engines free buffers when they collect.
      globalThis.gc?.()
    }
    await leavesNothing(step, rounds(100), 256 * MIB)
  })
})
