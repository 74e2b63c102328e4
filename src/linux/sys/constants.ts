/**
 * Constants of the kernel's interface, for x86-64 and arm64, each group with the header it is from.
 * A test compares them with the headers.
 */

import { arch } from 'node:process'

export { MSG_SOCK_DEVMEM, SOL_SOCKET } from '../../wire/control-messages.ts'

/** Constants in which the two machines differ. */
export const BY_MACHINE = {
  // K: include/uapi/asm-generic/fcntl.h, arch/x86/entry/syscalls/syscall_64.tbl
  x64: {
    O_DIRECT: 0o40000,
    O_DIRECTORY: 0o200000,
    O_NOFOLLOW: 0o400000,
    SYS_mbind: 237,
    SYS_io_setup: 206,
    SYS_io_submit: 209,
    SYS_io_cancel: 210,
    SYS_io_getevents: 208,
  },
  // K: arch/arm64/include/uapi/asm/fcntl.h, include/uapi/asm-generic/unistd.h
  arm64: {
    O_DIRECT: 0o200000,
    O_DIRECTORY: 0o40000,
    O_NOFOLLOW: 0o100000,
    SYS_mbind: 235,
    SYS_io_setup: 0,
    SYS_io_submit: 2,
    SYS_io_cancel: 3,
    SYS_io_getevents: 4,
  },
} as const
const MACHINE = BY_MACHINE[arch === 'arm64' ? 'arm64' : 'x64']

// K: include/uapi/asm-generic/fcntl.h
export const O_RDONLY = 0
export const O_RDWR = 2
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000
export const O_DIRECT: number = MACHINE.O_DIRECT
export const O_DIRECTORY: number = MACHINE.O_DIRECTORY
export const O_NOFOLLOW: number = MACHINE.O_NOFOLLOW
export const F_GETFL = 3
export const F_SETFL = 4

// K: include/uapi/linux/fcntl.h
export const F_DUPFD_CLOEXEC = 1030
export const F_ADD_SEALS = 1033
export const F_GET_SEALS = 1034
export const F_SEAL_SHRINK = 2
export const F_SEAL_GROW = 4

// K: include/uapi/linux/memfd.h
export const MFD_CLOEXEC = 1
export const MFD_ALLOW_SEALING = 2
export const MFD_HUGETLB = 4
export const MFD_HUGE_2MB: number = 21 << 26

// K: include/uapi/linux/eventfd.h
export const EFD_NONBLOCK = 0o4000

// K: include/linux/socket.h
export const AF_UNSPEC = 0
export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const SOL_TCP = 6
export const SOL_NETLINK = 270
export const MSG_CTRUNC = 8
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_ERRQUEUE = 0x2000
export const MSG_NOSIGNAL = 0x4000
export const MSG_ZEROCOPY = 0x4000000
export const MSG_CMSG_CLOEXEC = 0x40000000
export const SCM_RIGHTS = 1
export const SHUT_WR = 1
export const SHUT_RDWR = 2

// K: include/linux/net.h
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_SEQPACKET = 5
export const SOCK_NONBLOCK = 0o4000

// K: include/uapi/asm-generic/socket.h
export const SO_REUSEADDR = 2
export const SO_ERROR = 4
export const SO_RCVBUF = 8
export const SO_PEERCRED = 17
export const SO_RCVLOWAT = 18
export const SO_RCVBUFFORCE = 33
export const SO_PROTOCOL = 38
export const SO_INCOMING_NAPI_ID = 56
export const SO_ZEROCOPY = 60
export const SO_BINDTOIFINDEX = 62
export const SO_NETNS_COOKIE = 71
export const SO_DEVMEM_DONTNEED = 80

// K: include/uapi/linux/tcp.h
export const TCP_NODELAY = 1

// K: include/uapi/asm-generic/poll.h
export const POLLIN = 1
export const POLLOUT = 4
export const POLLERR = 8
export const POLLHUP = 0x10
export const POLLRDHUP = 0x2000

// K: include/uapi/linux/eventpoll.h
export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2
export const EPOLL_CTL_MOD = 3
export const EPOLLONESHOT: number = 1 << 30

// K: include/uapi/linux/aio_abi.h
export const IOCB_CMD_POLL = 5
export const IOCB_FLAG_RESFD = 1

// K: include/uapi/asm-generic/mman-common.h, include/uapi/linux/mman.h
export const PROT_READ = 1
export const PROT_WRITE = 2
export const MAP_SHARED = 1
export const MAP_PRIVATE = 2
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_NORESERVE = 0x4000
export const MADV_HUGEPAGE = 14

// K: include/uapi/linux/mempolicy.h
export const MPOL_BIND = 2

// K: include/uapi/linux/sched.h
export const CLONE_NEWNET = 0x40000000

// K: include/uapi/linux/if.h
export const IFNAMSIZ = 16

// K: include/uapi/linux/sockios.h
export const SIOCGIFNAME = 0x8910
export const SIOCGIFMTU = 0x8921
export const SIOCSIFMTU = 0x8922
export const SIOCETHTOOL = 0x8946

// K: include/uapi/linux/udmabuf.h
export const UDMABUF_CREATE = 0x40187542
export const UDMABUF_FLAGS_CLOEXEC = 1

// K: include/uapi/linux/dma-heap.h
export const DMA_HEAP_IOCTL_ALLOC = 0xc0184800

// K: include/uapi/linux/dma-buf.h
export const DMA_BUF_IOCTL_SYNC = 0x40086200
export const DMA_BUF_SYNC_READ = 1
export const DMA_BUF_SYNC_WRITE = 2
export const DMA_BUF_SYNC_END = 4

// K: include/uapi/linux/if_tun.h
export const TUNSETIFF = 0x400454ca
export const TUNSETOFFLOAD = 0x400454d0
export const IFF_TAP = 2
export const IFF_MULTI_QUEUE = 0x100
export const IFF_NO_PI = 0x1000
export const IFF_VNET_HDR = 0x4000
export const TUN_F_CSUM = 1
export const TUN_F_TSO4 = 2
export const TUN_F_TSO6 = 4
export const TUN_F_TSO_ECN = 8

// K: include/uapi/linux/netlink.h
export const NETLINK_GENERIC = 16
export const NETLINK_ADD_MEMBERSHIP = 1
export const NETLINK_CAP_ACK = 10
export const NETLINK_EXT_ACK = 11
export const NETLINK_GET_STRICT_CHK = 12

// Numbers of calls without a function in the C library.
export const SYS_mbind: number = MACHINE.SYS_mbind
export const SYS_io_setup: number = MACHINE.SYS_io_setup
export const SYS_io_submit: number = MACHINE.SYS_io_submit
export const SYS_io_cancel: number = MACHINE.SYS_io_cancel
export const SYS_io_getevents: number = MACHINE.SYS_io_getevents
