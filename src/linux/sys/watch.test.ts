// Readiness of foreign descriptors, in this thread's event loop. What becomes of threads and
// processes that end while they watch is in ends.host.test.ts.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { rounds } from '../../testing/rounds.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { createTimerBell } from './bell.ts'
import {
  AF_UNIX,
  dup,
  EFD_NONBLOCK,
  eventfd,
  type Fd,
  isFd,
  O_RDONLY,
  type OwnedFd,
  open,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  read,
  SOCK_STREAM,
  socketpair,
  watch,
  write,
} from './index.ts'

/** Urgent data (K: include/uapi/asm-generic/poll.h). */
const POLLPRI = 2
const skip = process.platform === 'linux' ? false : 'needs Linux'
const one = new BigUint64Array([1n])
const counter = (): OwnedFd => eventfd(0, EFD_NONBLOCK)
const ring = (fd: Fd): void => void write(fd, one)
const take = (fd: Fd): number | undefined => read(fd, new BigUint64Array(1))

async function pending(promise: Promise<number>): Promise<boolean> {
  await turns()
  return (await Promise.race([promise, Promise.resolve('pending')])) === 'pending'
}

describe('watch', { skip }, () => {
  it('resolves when there is an event, each time, and not before', async () => {
    using fd = counter()
    using watching = watch(fd.fd, POLLIN)
    for (let round = 0; round < 100; round++) {
      const ready = watching.ready()
      if (round % 25 === 0) assert.ok(await pending(ready))
      ring(fd.fd)
      assert.equal(await ready, POLLIN)
      take(fd.fd)
    }
  })

  it('resolves for an event that came between two calls', async () => {
    using fd = counter()
    using watching = watch(fd.fd, POLLIN)
    ring(fd.fd)
    await turns()
    assert.equal(await watching.ready(), POLLIN)
    assert.equal(await watching.ready(), POLLIN)
  })

  it('tells apart many descriptors', async () => {
    const fds = Array.from({ length: 200 }, counter)
    const watches = fds.map(({ fd }) => watch(fd, POLLIN))
    const readies = watches.map((each) => each.ready())
    for (const [index, { fd }] of fds.entries()) if (index % 2 === 1) ring(fd)
    assert.deepEqual(
      await Promise.all(readies.filter((_, index) => index % 2 === 1)),
      new Array(100).fill(POLLIN),
    )
    for (const [index, ready] of readies.entries())
      if (index % 2 === 0) assert.ok(await pending(ready))
    for (const each of watches) each.close()
    assert.deepEqual(new Set(await Promise.all(readies)), new Set([0, POLLIN]))
    for (const each of fds) each.close()
  })

  it('has several watches of one descriptor, each with its events', async () => {
    const [near, far] = socketpair(AF_UNIX, SOCK_STREAM)
    const [reads, writes, urgent] = [POLLIN, POLLOUT, POLLPRI].map((events) =>
      watch(near.fd, events),
    )
    assert.ok(reads && writes && urgent)
    const readable = reads.ready()
    assert.equal(await writes.ready(), POLLOUT)
    assert.ok(await pending(readable))
    const never = urgent.ready()
    write(far.fd, new Uint8Array(1))
    assert.equal(await readable, POLLIN)
    assert.ok(await pending(never))
    assert.equal(await writes.ready(), POLLOUT)
    using closing = watch(near.fd, POLLRDHUP)
    const hangUp = closing.ready()
    far.close()
    assert.equal(await hangUp, POLLRDHUP | POLLHUP)
    assert.equal(await never, POLLHUP)
    for (const each of [reads, writes, urgent]) each.close()
    near.close()
  })

  it('ends with its descriptor, and is not taken for the next of that number', async () => {
    const before = openDescriptors()
    const first = counter()
    using kept = dup(first.fd)
    const watching = watch(first.fd, POLLIN)
    const ready = watching.ready()
    await turns()
    first.close()
    assert.equal(await ready, 0)
    assert.equal(await watching.ready(), 0)
    const second = counter()
    const again = watch(second.fd, POLLIN)
    const other = again.ready()
    ring(kept.fd)
    assert.ok(await pending(other))
    ring(second.fd)
    assert.equal(await other, POLLIN)
    second.close()
    kept.close()
    await turns()
    await noneOpenSince(before)
  })

  it('is cancelled, and used on', async () => {
    using fd = counter()
    using watching = watch(fd.fd, POLLIN)
    const ready = watching.ready()
    watching.cancel()
    watching.cancel()
    assert.equal(await ready, 0)
    ring(fd.fd)
    assert.equal(await watching.ready(), POLLIN)
  })

  it('finds a file always ready', async () => {
    using file = open('/proc/self/exe', O_RDONLY)
    using watching = watch(file.fd, POLLIN)
    assert.equal(await watching.ready(), POLLIN)
    assert.equal(await watching.ready(), POLLIN)
  })

  it('rejects a closed descriptor', async () => {
    const closed = 99_999
    assert.ok(isFd(closed))
    using watching = watch(closed, POLLIN)
    await assert.rejects(watching.ready(), { errno: 'EBADF', syscall: 'epoll_ctl' })
  })

  it('may be closed by what it woke, and by another', async () => {
    const fds = [counter(), counter()]
    const [first, second] = fds.map(({ fd }) => watch(fd, POLLIN))
    assert.ok(first && second)
    const both = Promise.all(
      [first, second].map(async (each) => {
        const events = await each.ready()
        first.close()
        second.close()
        return events
      }),
    )
    for (const { fd } of fds) ring(fd)
    assert.ok((await both).includes(POLLIN))
    for (const each of fds) each.close()
  })

  it('opens and closes over and over without a descriptor left', async () => {
    await turns()
    const before = openDescriptors()
    for (let round = 0; round < rounds(100); round++) {
      using fd = counter()
      using watching = watch(fd.fd, POLLIN)
      ring(fd.fd)
      assert.equal(await watching.ready(), POLLIN)
    }
    await turns()
    await noneOpenSince(before)
  })
})

it('without asynchronous I/O the bell rings while it is armed', async () => {
  let rings = 0
  await new Promise<void>((resolve) => {
    const bell = createTimerBell(() => {
      rings++
      if (rings < 3) bell.arm()
      else resolve()
    })
    bell.ref()
    bell.arm()
    bell.arm()
  })
  assert.equal(rings, 3)
})

it('such a bell keeps the process alive when it is told to, and not once it is closed', () => {
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const bell = createTimerBell(() => assert.fail('it was closed'))
  bell.arm()
  assert.equal(timers(), before)
  bell.ref()
  assert.equal(timers(), before + 1)
  bell.close()
  assert.equal(timers(), before)
})
