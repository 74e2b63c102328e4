/** Refuses a machine whose memory a device cannot use: not shared, or behind a virtual IOMMU. */

import { fstatSync, readFileSync } from 'node:fs'
import {
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_SHRINK,
  type Fd,
  fcntl,
  getsockopt,
  SO_PEERCRED,
  SOL_SOCKET,
} from '../linux/sys/index.ts'
import { VfioUserError } from './vfio-user-error.ts'

/** A PC has small pieces of memory below 1 MiB. Above, a virtual IOMMU alone maps so few bytes. */
const SMALL_BYTES = 2 ** 20

export class MachineMemory {
  /** Process at the other end of the socket, or undefined where it cannot be seen. */
  readonly #process: number | undefined
  /** Files that were looked at, by inode. */
  readonly #files = new Set<number>()

  constructor(socket: Fd) {
    const credentials = new Int32Array(3)
    getsockopt(socket, SOL_SOCKET, SO_PEERCRED, credentials)
    const [pid = 0] = credentials
    this.#process = pid > 0 ? pid : undefined
  }

  /**
   * Looks at a map of the machine.
   *
   * @throws NETMEM_VFIO_USER_MEMORY if its memory is not shared. The first memory that a device may
   *   write is the main memory. Later ones without a file may be a graphics card's.
   * @throws NETMEM_VFIO_USER_IOMMU for a piece as small as a virtual IOMMU's.
   */
  check(fd: Fd | undefined, address: number, bytes: number, writable: boolean): void {
    if (!writable) {
      if (fd !== undefined) keepLength(fd)
      return
    }
    if (fd === undefined) {
      if (this.#files.size === 0) throw notShared('QEMU passes no descriptor of it')
      return
    }
    if (bytes < SMALL_BYTES && address >= SMALL_BYTES) {
      throw new VfioUserError(
        'NETMEM_VFIO_USER_IOMMU',
        'The guest puts a virtual IOMMU before the device, and netmem has none. Start QEMU without one (-device intel-iommu, virtio-iommu), or with bypass_iommu=on for the bus of the device.',
      )
    }
    const { ino } = fstatSync(fd)
    if (this.#files.has(ino)) return
    if (this.#isPrivate(ino)) throw notShared('QEMU maps it for itself alone')
    keepLength(fd)
    this.#files.add(ino)
  }

  /** True if the machine maps the file, and only for itself: what the guest writes is not in the file. */
  #isPrivate(ino: number): boolean {
    let maps: string
    try {
      maps = readFileSync(`/proc/${this.#process}/maps`, 'utf8')
    } catch {
      // A process of another user, or one in another container.
      return false
    }
    // Each line has addresses, rights, offset, device, inode and path.
    const kinds = maps
      .split('\n')
      .map((line) => line.split(/ +/))
      .filter(([, , , , inode]) => inode === String(ino))
      .map(([, rights]) => rights?.[3])
    return kinds.length > 0 && !kinds.includes('s')
  }
}

/** Seals a memfd against shrinking, which would end this process. Other files cannot be sealed. */
function keepLength(fd: Fd): void {
  try {
    if ((fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) === 0) fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)
  } catch {
    // A file of /dev/shm, or a memfd that takes no seals: QEMU does not shrink its memory.
  }
}

function notShared(how: string): VfioUserError {
  return new VfioUserError(
    'NETMEM_VFIO_USER_MEMORY',
    `The guest's memory is not shared: ${how}. Start QEMU with -object memory-backend-memfd,id=mem,size=2G,share=on -machine memory-backend=mem.`,
  )
}
