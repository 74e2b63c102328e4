/**
 * A bell tells this thread's event loop that an epoll descriptor has events. Node.js watches no
 * foreign descriptor. There are four ways to make it do so. The times are medians from a write to an
 * eventfd until the watcher runs (Node.js 20 and 26, two cores of an Intel Xeon):
 *
 * - A thread in poll(2), 47 to 58 µs. It holds up `worker.terminate()`, which runs no code that could
 *   wake it.
 * - koffi's asynchronous poll(2), 26 to 42 µs here and 88 elsewhere. Each takes a thread of libuv's pool.
 * - koffi's handle of uv_poll, 5 µs. It aborts the process if an event comes while a worker is terminated.
 * - This one, 5 to 8 µs. The kernel rings: asynchronous I/O polls the epoll descriptor and then adds to
 *   an eventfd (K: fs/aio.c, IOCB_CMD_POLL, IOCB_FLAG_RESFD). Node.js reads an eventfd as it does a
 *   pipe, and closes it when the thread ends. No thread waits, so none has to be woken before an end.
 */

import { Socket } from 'node:net'
import {
  AF_UNIX,
  EFD_NONBLOCK,
  IOCB_CMD_POLL,
  IOCB_FLAG_RESFD,
  O_CLOEXEC,
  POLLIN,
  SOCK_STREAM,
  SYS_io_cancel,
  SYS_io_getevents,
  SYS_io_setup,
  SYS_io_submit,
} from './constants.ts'
import { checked } from './failure.ts'
import { eventfd } from './files.ts'
import { IO_EVENT, IOCB } from './layouts.ts'
import { libc, Pinned } from './libc.ts'
import type { Fd } from './owned-fd.ts'
import { socketpair } from './sockets.ts'

/** Rings when an epoll descriptor has events. */
export interface Bell {
  /** Listens for the next event. It rings at once if there is one already. */
  arm(): void
  /** Keeps the process alive. */
  ref(): void
  unref(): void
  close(): void
}

/** Bun 1.4 never reads an eventfd that stands in a socket's place. */
const READS_EVENTFDS = !('bun' in process.versions)

/** Makes the best bell that this kernel and this engine have, unreferenced. */
export function createBell(epoll: Fd, onRing: () => void): Bell {
  if (!READS_EVENTFDS || aioContext() === 0) return createTimerBell(onRing)
  const bell = createAioBell(epoll, onRing)
  try {
    bell.arm()
    return bell
  } catch {
    // Some kernels have asynchronous I/O without polling.
    bell.close()
    return createTimerBell(onRing)
  }
}

/** Completions that one call takes. Requests that were cancelled leave theirs later. */
const COMPLETIONS = 8

let context: number | undefined

/**
 * Returns this thread's context of asynchronous I/O, or 0 if the kernel refuses one. It is made once,
 * since io_destroy(2) waits for milliseconds. After the end of its thread it stays in the process, with a
 * few KiB.
 */
function aioContext(): number {
  if (context === undefined) {
    const result = new Pinned(8)
    const failed = libc().syscall(SYS_io_setup, 1, result.address, 0, 0, 0, 0) === -1
    context = failed ? 0 : result.getUint64(0)
  }
  return context
}

function createAioBell(epoll: Fd, onRing: () => void): Bell {
  const { syscall } = libc()
  const aio = aioContext()
  const request = new Pinned(IOCB.BYTES)
  const requests = new Pinned(8)
  const completions = new Pinned(COMPLETIONS * IO_EVENT.BYTES)
  const noTime = new Pinned(16)
  let armed = false
  /** Frees the places of requests that are complete. */
  const reap = (): void => {
    syscall(SYS_io_getevents, aio, 0, COMPLETIONS, completions.address, noTime.address, 0)
  }
  const { socket, fd } = openEventStream(() => {
    armed = false
    reap()
    onRing()
  })
  requests.setUint64(0, request.address)
  request.view.setUint16(IOCB.OPCODE, IOCB_CMD_POLL, true)
  request.view.setInt32(IOCB.FD, epoll, true)
  request.view.setUint32(IOCB.BUFFER, POLLIN, true)
  request.view.setUint32(IOCB.FLAGS, IOCB_FLAG_RESFD, true)
  request.view.setInt32(IOCB.RESULT_FD, fd, true)
  return {
    arm() {
      if (armed) return
      checked(syscall(SYS_io_submit, aio, 1, requests.address, 0, 0, 0), 'io_submit')
      armed = true
    },
    ref: () => void socket.ref(),
    unref: () => void socket.unref(),
    close() {
      if (armed) syscall(SYS_io_cancel, aio, request.address, completions.address, 0, 0, 0)
      reap()
      socket.destroy()
    },
  }
}

/**
 * Opens an eventfd that Node.js reads. It takes sockets and pipes alone, by the kind of the
 * descriptor, so it is given a socket. The eventfd takes the socket's number before the event loop
 * has looked at it.
 */
function openEventStream(onEvent: () => void): { readonly socket: Socket; readonly fd: number } {
  const [one, other] = socketpair(AF_UNIX, SOCK_STREAM)
  using counter = eventfd(0, EFD_NONBLOCK)
  other.close()
  const fd = one.release()
  const buffer = new Uint8Array(8)
  const callback = (): boolean => {
    onEvent()
    return true
  }
  // `onread` reads into this buffer. By default each event would cost one of 64 KiB.
  const options = { fd, writable: false, onread: { buffer, callback } }
  const socket = new Socket(options)
  checked(libc().dup3(counter.fd, fd, O_CLOEXEC), 'dup3')
  socket.unref()
  return { socket, fd }
}

/** Milliseconds between two looks where the kernel has no asynchronous I/O. */
const LOOK_MS = 10

/**
 * Makes a bell that rings every 10 ms while it is armed, with events and without, for kernels that lack
 * asynchronous I/O and for Bun.
 */
export function createTimerBell(onRing: () => void): Bell {
  let timer: NodeJS.Timeout | undefined
  let referenced = false
  return {
    arm() {
      timer ??= setTimeout(() => {
        timer = undefined
        onRing()
      }, LOOK_MS)
      if (!referenced) timer.unref()
    },
    ref() {
      referenced = true
      timer?.ref()
    },
    unref() {
      referenced = false
      timer?.unref()
    },
    close: () => clearTimeout(timer),
  }
}
