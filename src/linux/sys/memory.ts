/** Calls on memory of this process: mmap(2), madvise(2), mbind(2). `mapping.ts` maps safely. */

import { fstatSync } from 'node:fs'
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  type MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  SYS_mbind,
} from './constants.ts'
import { ERRNO } from './errno.ts'
import { checked, failure, failureOf } from './failure.ts'
import { libc, Pinned } from './libc.ts'
import type { Fd } from './owned-fd.ts'

/** Returns the bytes of a memory page of this machine. */
export function memoryPageBytes(): number {
  return libc().getpagesize()
}

/** Maps memory, and returns its address. `fd` is undefined for anonymous memory. */
export function mmap(
  address: number,
  bytes: number,
  protection: number,
  flags: number,
  fd: Fd | undefined,
  offset: number,
): number {
  const result = libc().mmap(address, bytes, protection, flags, fd ?? -1, offset)
  // -1 is no address: a view of it would end the process.
  if (result === -1) throw failure('mmap', `${bytes} bytes from ${offset}`)
  return result
}

/** Maps a part of a file over memory that this process has. */
export function mapOver(
  address: number,
  bytes: number,
  fd: Fd,
  offset: number,
  sharing: typeof MAP_SHARED | typeof MAP_PRIVATE,
): void {
  mmap(address, bytes, PROT_READ | PROT_WRITE, sharing | MAP_FIXED, fd, offset)
}

/** Puts anonymous memory, which reads as zeros, in the place of a mapping. */
export function unmapInPlace(address: number, bytes: number): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
  mmap(address, bytes, PROT_READ | PROT_WRITE, flags, undefined, 0)
}

/** Returns the size of a file, or undefined if the descriptor is of something else. */
export function fileBytes(fd: Fd): number | undefined {
  try {
    const stat = fstatSync(fd)
    return stat.isFile() ? stat.size : undefined
  } catch {
    throw failureOf(ERRNO.EBADF, 'fstat')
  }
}

/** Gives the kernel advice about memory (MADV_*). */
export function madvise(address: number, bytes: number, advice: number): void {
  checked(libc().madvise(address, bytes, advice), 'madvise')
}

/** Says from which NUMA nodes memory is to come when it is first written (MPOL_*). */
export function mbind(
  address: number,
  bytes: number,
  policy: number,
  nodes: readonly number[],
): void {
  const words = Math.floor(Math.max(0, ...nodes) / 64) + 1
  const mask = new Pinned(words * 8)
  for (const node of nodes) {
    const at = Math.floor(node / 8)
    mask.view.setUint8(at, mask.view.getUint8(at) | (1 << (node % 8)))
  }
  // The kernel reads one bit less than the given number (K: mm/mempolicy.c, get_nodes).
  const bits = words * 64 + 1
  checked(libc().syscall(SYS_mbind, address, bytes, policy, mask.address, bits, 0), 'mbind')
}
