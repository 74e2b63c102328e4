/**
 * Errors of bind-rx and bind-tx: a code for each cause, the kernel's words, and a remedy
 * (K: net/core/netdev-genl.c, net/core/devmem.c, net/core/netdev_rx_queue.c).
 */

import type { CodeOf } from '../../errors.ts'
import type { NetlinkError } from '../netlink/netlink-error.ts'
import { type ErrnoName, type Ifindex, LinuxError } from '../sys/index.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DEVMEM_NO_INTERFACE: 'LinuxError'
    NETMEM_DEVMEM_QUEUE: 'LinuxError'
    NETMEM_DEVMEM_SPLIT_OFF: 'LinuxError'
    NETMEM_DEVMEM_SPLIT_THRESHOLD: 'LinuxError'
    NETMEM_DEVMEM_UNALIGNED: 'LinuxError'
    NETMEM_DEVMEM_PAGE_SIZE: 'LinuxError'
    NETMEM_DEVMEM_UNSUPPORTED: 'LinuxError'
    NETMEM_DEVMEM_MIXED_DEVICES: 'LinuxError'
    NETMEM_DEVMEM_BOUND: 'LinuxError'
    NETMEM_DEVMEM_XDP: 'LinuxError'
    NETMEM_DEVMEM_LEASED: 'LinuxError'
    NETMEM_DEVMEM_IGNORED: 'LinuxError'
    NETMEM_DEVMEM_ORDER: 'LinuxError'
    NETMEM_DEVMEM_FORBIDDEN: 'LinuxError'
    NETMEM_DEVMEM_DOWN: 'LinuxError'
    NETMEM_DEVMEM_FAILED: 'LinuxError'
  }
}

/** One cause. The first of the list that fits is taken. */
interface Cause {
  readonly errno: ErrnoName
  /**
   * Pattern of the words in the kernel's acknowledgement. Without a pattern every text fits, also an
   * empty one.
   */
  readonly words?: RegExp
  /** Attribute that the kernel pointed at. */
  readonly attribute?: RegExp
  readonly code: CodeOf<'LinuxError'>
  readonly remedy: string
}

const CAUSES: readonly Cause[] = [
  {
    errno: 'ENODEV',
    code: 'NETMEM_DEVMEM_NO_INTERFACE',
    remedy:
      'There is no such interface in this network namespace, or it is going away: `ip link` lists them with their numbers.',
  },
  {
    errno: 'EINVAL',
    words: /tcp-data-split is disabled/,
    code: 'NETMEM_DEVMEM_SPLIT_OFF',
    remedy:
      'tcp-data-split is off: call prepareQueues(), or run `ethtool -G INTERFACE tcp-data-split on`.',
  },
  {
    errno: 'EINVAL',
    words: /hds-thresh/,
    code: 'NETMEM_DEVMEM_SPLIT_THRESHOLD',
    remedy:
      'Short packets are not split: call prepareQueues(), or run `ethtool -G INTERFACE hds-thresh 0`.',
  },
  {
    errno: 'EINVAL',
    // The kernel's words may be cut: it has 80 bytes for them, and logs the whole.
    words: /not aligned|multiple of PAGE_SIZE/,
    code: 'NETMEM_DEVMEM_UNALIGNED',
    remedy:
      'The dma-buf has pieces that are not whole net_iovs: leave out rxPageSize, or make the dma-buf of huge pages or whole pages.',
  },
  {
    // "Unknown attribute type", of a kernel before 7.3.
    errno: 'EINVAL',
    attribute: /(^|\.)rx-page-size$/,
    code: 'NETMEM_DEVMEM_PAGE_SIZE',
    remedy:
      'This kernel has no rxPageSize, which is new in Linux 7.3: leave it out. The dma-buf is then cut into memory pages.',
  },
  {
    errno: 'EINVAL',
    attribute: /(^|\.)id$/,
    code: 'NETMEM_DEVMEM_QUEUE',
    remedy: 'The interface has no such RX queue: `ethtool -l INTERFACE` says how many it has.',
  },
  {
    errno: 'ERANGE',
    words: /queue/,
    code: 'NETMEM_DEVMEM_QUEUE',
    remedy: 'The interface has no such RX queue: `ethtool -l INTERFACE` says how many it has.',
  },
  {
    errno: 'EOPNOTSUPP',
    words: /rx_page_size/,
    code: 'NETMEM_DEVMEM_PAGE_SIZE',
    remedy:
      'The driver has pages of one size: leave out rxPageSize. The dma-buf is then cut into memory pages.',
  },
  {
    errno: 'EOPNOTSUPP',
    words: /DMA device mismatch/,
    code: 'NETMEM_DEVMEM_MIXED_DEVICES',
    remedy: 'The queues belong to different PCI devices: bind those of each device by themselves.',
  },
  {
    errno: 'EOPNOTSUPP',
    words: /virtual netdev/,
    code: 'NETMEM_DEVMEM_LEASED',
    remedy: 'The queue is leased between interfaces: bind it where the lease ends.',
  },
  {
    // Words of Linux 7.3 for a leased queue on the card (K: net/core/devmem.c).
    errno: 'EOPNOTSUPP',
    words: /support DMA/,
    code: 'NETMEM_DEVMEM_LEASED',
    remedy:
      'The queue has no DMA of its own here: it is leased to a virtual interface, or belongs to one and has no lease. Bind it where the lease ends.',
  },
  {
    errno: 'EOPNOTSUPP',
    code: 'NETMEM_DEVMEM_UNSUPPORTED',
    remedy:
      'The driver has no device memory. Those of gve, bnxt, mlx5 and fbnic have, and netkit on a queue that is leased from them. `netmem doctor` says if the kernel was built without it.',
  },
  {
    errno: 'EEXIST',
    words: /XDP/,
    code: 'NETMEM_DEVMEM_XDP',
    remedy: 'Detach the XDP program first: `ip link set INTERFACE xdp off`.',
  },
  {
    errno: 'EEXIST',
    code: 'NETMEM_DEVMEM_BOUND',
    remedy: 'Another program has bound the queue: end it, or take another queue.',
  },
  {
    errno: 'EBUSY',
    words: /AF_XDP/,
    code: 'NETMEM_DEVMEM_XDP',
    remedy: 'An AF_XDP socket has the queue: close it, or take another queue.',
  },
  {
    errno: 'EBUSY',
    words: /leased/,
    code: 'NETMEM_DEVMEM_LEASED',
    remedy: 'The queue is leased to a virtual interface: bind it there.',
  },
  {
    errno: 'ENODATA',
    code: 'NETMEM_DEVMEM_IGNORED',
    remedy: 'The driver runs the queue without the memory: take a driver that does devmem TCP.',
  },
  {
    errno: 'E2BIG',
    code: 'NETMEM_DEVMEM_ORDER',
    remedy:
      'The driver posts more than a page at once: lower the MTU, or the length of its buffers (`ethtool -G INTERFACE rx-buf-len`).',
  },
  {
    errno: 'EPERM',
    code: 'NETMEM_DEVMEM_FORBIDDEN',
    remedy:
      'Run it as root or with CAP_NET_ADMIN, or let root bind and pass it on: `netmem devmem prepare`.',
  },
  {
    errno: 'ENETDOWN',
    code: 'NETMEM_DEVMEM_DOWN',
    remedy: 'The interface is down: `ip link set INTERFACE up`.',
  },
  {
    errno: 'EBADF',
    code: 'NETMEM_NOT_A_DMABUF',
    remedy: 'The descriptor is not open in this process: keep the dma-buf until it is bound.',
  },
]

/** Makes the error of a binding that the kernel refused. */
export function bindError(call: string, ifindex: Ifindex, cause: NetlinkError): LinuxError {
  const { errno, kernelMessage, attribute, missing } = cause
  const found = CAUSES.find(
    (each) =>
      each.errno === errno &&
      (each.words === undefined || each.words.test(kernelMessage ?? '')) &&
      (each.attribute === undefined || each.attribute.test(attribute ?? '')),
  )
  const words = kernelMessage === undefined ? (errno ?? 'no errno') : `${kernelMessage} (${errno})`
  // dma_buf_get() refuses other descriptors without words.
  const silent = kernelMessage === undefined && attribute === undefined && missing === undefined
  const { code, remedy } =
    found ??
    (errno === 'EINVAL' && silent
      ? {
          code: 'NETMEM_NOT_A_DMABUF' as const,
          remedy: 'The descriptor is of something else: pass that of a dma-buf.',
        }
      : {
          code: 'NETMEM_DEVMEM_FAILED' as const,
          remedy: 'netdev-genl.c and devmem.c in the source of the kernel have the reason.',
        })
  return new LinuxError(code, `${call} on interface ${ifindex}: ${words}. ${remedy}`, {
    cause,
    errno,
  })
}

/** Makes the error of a kernel that lacks the operation of binding. */
export function noSuchBinding(call: 'bindRx()' | 'bindTx()', cause: NetlinkError): LinuxError {
  const needs =
    call === 'bindRx()'
      ? 'Linux 6.12 and later bind memory to receive with, if they are built with CONFIG_NET_DEVMEM'
      : 'Linux 6.16 and later bind memory to send with'
  const words = cause.kernelMessage ?? 'it has no such operation'
  return new LinuxError(
    'NETMEM_DEVMEM_KERNEL',
    `${call} is refused by this kernel: ${words} (${cause.errno}). ${needs}.`,
    { cause, errno: cause.errno },
  )
}
