/**
 * System calls, and nothing above them. No other folder makes one, and none but this one imports
 * koffi. A call has the name of its manual page. It returns a value or throws a `LinuxError` with the
 * error number's name, the call's name and a remedy. Calls that would have to wait return undefined.
 *
 * - `libc.ts` loads koffi. `failure.ts`, `errno.ts` and `linux-error.ts` are the errors.
 * - `owned-fd.ts`: descriptors and who closes them.
 * - `files.ts`, `sockets.ts`, `addresses.ts`, `messages.ts`, `poll.ts`, `memory.ts`: the calls.
 * - `mapping.ts` maps files into memory that survives its mapping, `window.ts` parts of files at any place.
 * - `unix-place.ts` gives Unix sockets their places in the file system.
 * - `tun.ts` attaches to TUN and TAP interfaces.
 * - `watch.ts` waits for events in an event loop, by the bell of `bell.ts`.
 * - `constants.ts` and `layouts.ts`: numbers and structures of the kernel's interface.
 *
 * This index loads all of them but `tun.ts`. What starts often, as the device's thread does, imports single files.
 */

export {
  inetAddress,
  netlinkAddress,
  netlinkPort,
  parseInetAddress,
  unixAddress,
} from './addresses.ts'
export * from './constants.ts'
export { type Errno, type ErrnoName, errnoName } from './errno.ts'
export { explained, failureOfNumber } from './failure.ts'
export {
  dup,
  eventfd,
  fcntl,
  ftruncate,
  ioctl,
  ioctlOwned,
  memfdCreate,
  open,
  read,
  setns,
  write,
} from './files.ts'
export { checkIfindex, type Ifindex } from './ifindex.ts'
export { DMA_BUF_SYNC, DMA_HEAP_ALLOCATION, IFREQ, UDMABUF } from './layouts.ts'
export { addressOf, type Bytes, loadLibc, Pinned } from './libc.ts'
export { LinuxError } from './linux-error.ts'
export { type MapOptions, type Mapping, map } from './mapping.ts'
export { madvise, mbind, memoryPageBytes, mmap } from './memory.ts'
export { controlSpace, type MessageOptions, SocketMessage } from './messages.ts'
export { type Fd, type FdLeakReport, isFd, OwnedFd } from './owned-fd.ts'
export { PollSet, yieldProcessor } from './poll.ts'
export {
  accept4,
  bind,
  connect,
  getpeername,
  getsockname,
  getsockopt,
  getsockoptInt,
  listen,
  setsockopt,
  setsockoptInt,
  shutdown,
  socket,
  socketpair,
} from './sockets.ts'
export { boundUnixSocket, unixAddressOf } from './unix-place.ts'
export { type Watch, watch } from './watch.ts'
export { type MemoryWindow, openMemoryWindow } from './window.ts'
