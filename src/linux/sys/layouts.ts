/**
 * Structures of the kernel's interface: their sizes and the offsets of their fields, in bytes. x86-64
 * and arm64 differ in struct epoll_event alone. A test compares them with the headers.
 */

import { arch } from 'node:process'

/** struct iovec. K: include/uapi/linux/uio.h. */
export const IOVEC = { BYTES: 16, BASE: 0, LENGTH: 8 } as const

/** struct msghdr. K: include/linux/socket.h, struct user_msghdr. */
export const MSGHDR = {
  BYTES: 56,
  NAME: 0,
  NAME_LENGTH: 8,
  VECTORS: 16,
  VECTOR_COUNT: 24,
  CONTROL: 32,
  CONTROL_LENGTH: 40,
  FLAGS: 48,
} as const

/** struct cmsghdr: its data follows. K: include/linux/socket.h. */
export const CMSGHDR = { BYTES: 16, LENGTH: 0, LEVEL: 8, TYPE: 12 } as const

/** struct sockaddr_in. Its port and address are big-endian. K: include/uapi/linux/in.h. */
export const SOCKADDR_IN = { BYTES: 16, FAMILY: 0, PORT: 2, ADDRESS: 4 } as const

/** struct sockaddr_in6. K: include/uapi/linux/in6.h. */
export const SOCKADDR_IN6 = { BYTES: 28, FAMILY: 0, PORT: 2, ADDRESS: 8 } as const

/** struct sockaddr_nl. K: include/uapi/linux/netlink.h. */
export const SOCKADDR_NL = { BYTES: 12, FAMILY: 0, PORT: 4, GROUPS: 8 } as const

/** struct sockaddr_un. K: include/uapi/linux/un.h. */
export const SOCKADDR_UN = { BYTES: 110, FAMILY: 0, PATH: 2 } as const

/** struct pollfd. K: include/uapi/asm-generic/poll.h. */
export const POLLFD = { BYTES: 8, FD: 0, EVENTS: 4, RESULT: 6 } as const

/** struct epoll_event, packed on x86-64. K: include/uapi/linux/eventpoll.h. */
export const EPOLL_EVENTS = {
  x64: { BYTES: 12, EVENTS: 0, DATA: 4 },
  arm64: { BYTES: 16, EVENTS: 0, DATA: 8 },
} as const
export const EPOLL_EVENT: (typeof EPOLL_EVENTS)['x64' | 'arm64'] =
  EPOLL_EVENTS[arch === 'arm64' ? 'arm64' : 'x64']

/** struct iocb. K: include/uapi/linux/aio_abi.h. */
export const IOCB = {
  BYTES: 64,
  OPCODE: 16,
  FD: 20,
  BUFFER: 24,
  FLAGS: 56,
  RESULT_FD: 60,
} as const

/** struct io_event. K: include/uapi/linux/aio_abi.h. */
export const IO_EVENT = { BYTES: 32 } as const

/** struct ifreq: a name, and a union of which these are members. K: include/uapi/linux/if.h. */
export const IFREQ = { BYTES: 40, FLAGS: 16, MTU: 16, IFINDEX: 16, DATA: 16 } as const

/** struct udmabuf_create. K: include/uapi/linux/udmabuf.h. */
export const UDMABUF = { BYTES: 24, MEMFD: 0, FLAGS: 4, OFFSET: 8, SIZE: 16 } as const

/** struct dma_heap_allocation_data. K: include/uapi/linux/dma-heap.h. */
export const DMA_HEAP_ALLOCATION = { BYTES: 24, LENGTH: 0, FD: 8, FD_FLAGS: 12 } as const

/** struct dma_buf_sync. K: include/uapi/linux/dma-buf.h. */
export const DMA_BUF_SYNC = { BYTES: 8, FLAGS: 0 } as const
