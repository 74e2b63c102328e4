/// <reference lib="esnext.disposable" preserve="true" />

/** Waits for events of any descriptor in this thread's event loop, by epoll(7). */

import { type Bell, createBell } from './bell.ts'
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLONESHOT,
  O_CLOEXEC,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
} from './constants.ts'
import { ERRNO } from './errno.ts'
import { checked, failureOf } from './failure.ts'
import { EPOLL_EVENT } from './layouts.ts'
import { libc, Pinned } from './libc.ts'
import { beforeClose, type Fd, type OwnedFd, own } from './owned-fd.ts'

/**
 * Watches a descriptor for events (POLLIN, POLLOUT, POLLRDHUP). Any descriptor may be watched,
 * and by several watches. One that never waits, such as a file's, is always ready. An `OwnedFd` closes
 * its watches before it closes.
 */
export function watch(fd: Fd, events: number): Watch {
  loop ??= new WatchLoop()
  return loop.open(fd, events)
}

/** Events that one call takes. If there are more, the bell rings again. */
const EVENTS = 64

/** Watches of this thread. The first watch makes it, and the last one that closes ends it. */
let loop: WatchLoop | undefined

/** A watched descriptor. Its number in epoll is its own, since the descriptor's is used again. */
interface Watched {
  readonly id: number
  readonly fd: Fd
  readonly watches: Watch[]
  /** New to epoll, known to it, or refused by it, because the descriptor never waits. */
  state: 'new' | 'known' | 'always ready'
}

/** The epoll descriptor of a thread and its bell. The last watch closes both. */
class WatchLoop {
  readonly #epoll: OwnedFd
  readonly #bell: Bell
  readonly #byFd = new Map<Fd, Watched>()
  readonly #byId = new Map<number, Watched>()
  readonly #events = new Pinned(EVENTS * EPOLL_EVENT.BYTES)
  readonly #event = new Pinned(EPOLL_EVENT.BYTES)
  #lastId = 0
  #waiting = 0
  #referenced = 0

  constructor() {
    this.#epoll = own('epoll_create1', 'epoll', () => libc().epollCreate(O_CLOEXEC))
    this.#bell = createBell(this.#epoll.fd, () => this.#dispatch())
  }

  open(fd: Fd, events: number): Watch {
    let watched = this.#byFd.get(fd)
    if (watched === undefined) {
      this.#lastId = (this.#lastId + 1) >>> 0
      watched = { id: this.#lastId, fd, watches: [], state: 'new' }
      this.#byFd.set(fd, watched)
      this.#byId.set(watched.id, watched)
      beforeClose(fd, () => this.#closeAll(fd))
    }
    const opened = new Watch(this, watched, events)
    watched.watches.push(opened)
    return opened
  }

  /** Has epoll report the events that the descriptor's waiting watches want, once. */
  listen(watched: Watched): void {
    let events = 0
    for (const one of watched.watches) if (one.waiting) events |= one.events
    if (watched.state === 'always ready') {
      settle(watched, POLLIN | POLLOUT)
      return
    }
    this.#event.view.setUint32(EPOLL_EVENT.EVENTS, events | EPOLLONESHOT, true)
    this.#event.view.setUint32(EPOLL_EVENT.DATA, watched.id, true)
    const operation = watched.state === 'new' ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
    if (libc().epollCtl(this.#epoll.fd, operation, watched.fd, this.#event.address) === -1) {
      const errno = libc().errno()
      if (errno === ERRNO.EPERM) watched.state = 'always ready'
      // Other code closed the descriptor, and opened one of the same number.
      else if (errno === ERRNO.ENOENT && watched.state === 'known') watched.state = 'new'
      else throw failureOf(errno, 'epoll_ctl')
      this.listen(watched)
      return
    }
    watched.state = 'known'
    this.#bell.arm()
  }

  /** Counts a watch that begins or ends to wait. */
  count(waiting: number, referenced: number): void {
    this.#waiting += waiting
    const before = this.#referenced
    this.#referenced += referenced
    if (before === 0 && this.#referenced > 0) this.#bell.ref()
    else if (before > 0 && this.#referenced === 0) this.#bell.unref()
  }

  remove(watched: Watched, closed: Watch): void {
    watched.watches.splice(watched.watches.indexOf(closed), 1)
    if (watched.watches.length > 0) return
    if (watched.state === 'known') {
      // The call fails if the descriptor is closed already, which has ended the watch.
      libc().epollCtl(this.#epoll.fd, EPOLL_CTL_DEL, watched.fd, this.#event.address)
    }
    beforeClose(watched.fd, undefined)
    this.#byFd.delete(watched.fd)
    this.#byId.delete(watched.id)
    if (this.#byFd.size > 0) return
    if (loop === this) loop = undefined
    this.#bell.close()
    this.#epoll.close()
  }

  #closeAll(fd: Fd): void {
    for (const one of [...(this.#byFd.get(fd)?.watches ?? [])]) one.close()
  }

  #dispatch(): void {
    if (!this.#epoll.open) return
    const found = checked(
      libc().epollWait(this.#epoll.fd, this.#events.address, EVENTS, 0),
      'epoll_wait',
    )
    for (let at = 0; at < found * EPOLL_EVENT.BYTES; at += EPOLL_EVENT.BYTES) {
      const watched = this.#byId.get(this.#events.view.getUint32(at + EPOLL_EVENT.DATA, true))
      if (watched === undefined) continue
      if (settle(watched, this.#events.view.getUint32(at + EPOLL_EVENT.EVENTS, true)))
        this.listen(watched)
    }
    if (this.#waiting > 0) this.#bell.arm()
  }
}

/** Resolves the watches that wait for one of `events`. Returns true if others still wait. */
function settle(watched: Watched, events: number): boolean {
  let waiting = false
  for (const one of watched.watches) {
    if (!one.waiting) continue
    const wanted = events & (one.events | POLLERR | POLLHUP)
    if (wanted !== 0) one.settle(wanted)
    else waiting = true
  }
  return waiting
}

/** A descriptor whose events are waited for. Close it before the descriptor, or with it. */
export class Watch implements Disposable {
  readonly events: number
  readonly #loop: WatchLoop
  readonly #watched: Watched
  #promise: Promise<number> | undefined
  #resolve: ((events: number) => void) | undefined
  #referenced = true
  #closed = false

  constructor(loop: WatchLoop, watched: Watched, events: number) {
    this.#loop = loop
    this.#watched = watched
    this.events = events
  }

  get fd(): Fd {
    return this.#watched.fd
  }

  get waiting(): boolean {
    return this.#promise !== undefined
  }

  /**
   * Resolves when the descriptor has one of the events, with its present events (POLL*). POLLERR and
   * POLLHUP come without asking. Resolves with 0 if it is cancelled or the watch is closed. The
   * descriptor is not watched between two calls, so a slow caller is not called again. A call while
   * another is pending settles with it.
   *
   * @throws NETMEM_SYSCALL_FAILED, as a rejection, if the descriptor is closed.
   */
  async ready(): Promise<number> {
    if (this.#closed) return 0
    if (this.#promise !== undefined) return this.#promise
    const promise = new Promise<number>((resolve) => {
      this.#resolve = resolve
    })
    this.#promise = promise
    this.#loop.count(1, this.#referenced ? 1 : 0)
    try {
      this.#loop.listen(this.#watched)
    } catch (error) {
      this.settle(0)
      throw error
    }
    return promise
  }

  settle(events: number): void {
    if (this.#promise === undefined) return
    this.#promise = undefined
    this.#loop.count(-1, this.#referenced ? -1 : 0)
    this.#resolve?.(events)
  }

  /** Resolves a pending `ready()` with 0. The watch may be used on. */
  cancel(): void {
    this.settle(0)
  }

  /** Lets a pending `ready()` keep the process alive, as it does from the beginning. */
  ref(): void {
    if (!this.#referenced && this.waiting) this.#loop.count(0, 1)
    this.#referenced = true
  }

  /** Lets the process end while `ready()` is pending. */
  unref(): void {
    if (this.#referenced && this.waiting) this.#loop.count(0, -1)
    this.#referenced = false
  }

  /** Ends the watch: a pending `ready()` resolves with 0. A second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.settle(0)
    this.#loop.remove(this.#watched, this)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
