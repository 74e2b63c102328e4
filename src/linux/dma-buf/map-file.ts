/// <reference lib="esnext.disposable" preserve="true" />
/** Maps a file over the memory of a WebAssembly instance, which stays when the file is unmapped. */

import { ArgumentRangeError } from '../../errors.ts'
import { alignedSharedBuffer, mappedBuffer } from '../../providers/aligned-memory.ts'
import {
  addressOf,
  type Fd,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  PROT_READ,
  PROT_WRITE,
} from '../sys/index.ts'

export interface Mapping extends Disposable {
  readonly bytes: Uint8Array
  readonly address: number
  unmap(): void
}

const HUGE = 2 ** 21

export function mapFile(
  fd: Fd,
  {
    bytes,
    shared = false,
    alignment = 4096,
  }: { bytes: number; shared?: boolean; alignment?: number },
): Mapping {
  const size = bytes + (alignment > 65536 ? HUGE : 0)
  const buffer =
    size > 2 ** 32 ? undefined : shared ? alignedSharedBuffer(size) : mappedBuffer(size)
  if (buffer === undefined) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `No room to map ${bytes} bytes: at most 4 GiB.`,
    )
  }
  const start = addressOf(new Uint8Array(buffer))
  const offset = (alignment - (start % alignment)) % alignment
  const address = start + offset
  const protection = PROT_READ | PROT_WRITE
  mmap(address, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0)
  let mapped = true
  const unmap = (): void => {
    if (!mapped) return
    mapped = false
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
    mmap(address, bytes, protection, flags, undefined, 0)
  }
  return { bytes: new Uint8Array(buffer, offset, bytes), address, unmap, [Symbol.dispose]: unmap }
}
