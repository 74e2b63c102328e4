// A thread that watches, and does as it is told: see ends.host.test.ts. Its parent may be a process's main
// thread, or there may be none, where it is a process of its own.
import { argv } from 'node:process'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import {
  AF_UNIX,
  EFD_NONBLOCK,
  eventfd,
  type OwnedFd,
  POLLIN,
  SOCK_STREAM,
  SocketMessage,
  socketpair,
  watch,
  write,
} from './index.ts'

const one = new BigUint64Array([1n])
const mode: unknown = isMainThread ? argv[2] : workerData

function ready(): void {
  if (parentPort === null) process.stdout.write('ready\n')
  else parentPort.postMessage('ready')
}

/** Held, so that none is reported as a leak. */
const held: OwnedFd[] = []

/** Watches descriptors that never have an event. */
function watchIdly(): void {
  for (let n = 0; n < 10; n++) {
    const counter = eventfd(0, EFD_NONBLOCK)
    held.push(counter)
    void watch(counter.fd, POLLIN).ready()
  }
}

/** Opens, watches, uses and closes descriptors for ever, through the event loop. */
async function work(): Promise<never> {
  watchIdly()
  const message = new SocketMessage()
  message.setBytes(0, new Uint8Array(8))
  for (let round = 0; ; round++) {
    using counter = eventfd(0, EFD_NONBLOCK)
    write(counter.fd, one)
    const [near, far] = socketpair(AF_UNIX, SOCK_STREAM)
    const watches = [counter, far].map(({ fd }) => watch(fd, POLLIN))
    const events = watches.map((each) => each.ready())
    message.send(near.fd)
    await Promise.all(events)
    message.receive(far.fd)
    far.close()
    near.close()
    if (round === 10) ready()
  }
}

/** Rings for ever: there is an event whenever the thread looks. */
async function storm(): Promise<never> {
  using counter = eventfd(0, EFD_NONBLOCK)
  using watching = watch(counter.fd, POLLIN)
  for (let round = 0; ; round++) {
    write(counter.fd, one)
    await watching.ready()
    if (round === 10) ready()
  }
}

switch (mode) {
  case 'work':
    await work()
    break
  case 'storm':
    await storm()
    break
  case 'exit':
    watchIdly()
    ready()
    setImmediate(() => process.exit(0))
    break
  case 'throw':
    watchIdly()
    ready()
    setImmediate(() => {
      throw new Error('on purpose')
    })
    break
  case 'unref': {
    const counter = eventfd(0, EFD_NONBLOCK)
    held.push(counter)
    const watching = watch(counter.fd, POLLIN)
    watching.unref()
    void watching.ready()
    ready()
    break
  }
  default:
    watchIdly()
    ready()
}
