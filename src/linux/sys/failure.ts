/** Errors of calls that failed: a {@link LinuxError} has the call's name, the kernel's words and a remedy. */

import { ERRNO, type Errno, type ErrnoName, errnoName, isErrno } from './errno.ts'
import { libc } from './libc.ts'
import { LinuxError } from './linux-error.ts'

/** Remedies of the errors that mean the same for every call. */
const REMEDIES: { readonly [Name in ErrnoName]?: string } = {
  EACCES: 'Give this process access to the file, or run it as a user who has it.',
  EPERM: 'Run it as root, or give this process the capability that the call needs.',
  EBADF: 'The descriptor is closed, or was opened for something else.',
  EMFILE: 'This process has no descriptor left: close some, or raise `ulimit -n`.',
  ENFILE: 'This machine has no descriptor left: close some, or raise fs.file-max.',
  ENOMEM: 'Close or unmap something, or raise the limit of this process (`ulimit -a`).',
  ENOBUFS: 'The kernel has no memory for it now: ask for less, or try again.',
  ENOSYS: 'This kernel has no such call: a newer one may.',
  EAFNOSUPPORT: 'This kernel was built without that family of sockets.',
  ENOENT: 'There is no such file or device: check its name, and that its module is loaded.',
  EFAULT: 'Pass memory that is mapped, and that the call may write to.',
}

/**
 * Makes the error of the call that has just failed on this thread.
 *
 * @param syscall name of the call, as its manual page has it.
 * @param what arguments that tell this call from others, such as a path.
 */
export function failure(syscall: string, what?: string): LinuxError {
  return failureOf(libc().errno(), syscall, what)
}

/**
 * Makes the error of a call that failed with an error number.
 *
 * @param what arguments that tell this call from others, such as a path.
 * @param remedy sentence that says what to do. By default one that fits the error number.
 */
export function failureOf(
  number: Errno,
  syscall: string,
  what?: string,
  remedy?: string,
): LinuxError {
  const errno = errnoName(number)
  const name = errno ?? `errno ${number}`
  const words = libc().strerror(number)
  const advice =
    remedy ??
    (errno === undefined ? undefined : REMEDIES[errno]) ??
    `${syscall}(2) lists what can cause it.`
  const call = what === undefined ? syscall : `${syscall} (${what})`
  return new LinuxError('NETMEM_SYSCALL_FAILED', `${call}: ${words} (${name}). ${advice}`, {
    errno,
    syscall,
  })
}

/**
 * Returns the error with a remedy that fits what was asked for. Without one it returns `cause` itself.
 *
 * @param what object of the refused request, such as a network namespace.
 */
export function explained(
  cause: unknown,
  what: string,
  remedies: { readonly [Name in ErrnoName]?: string },
): unknown {
  if (!(cause instanceof LinuxError) || cause.errno === undefined) return cause
  const { errno, syscall } = cause
  const remedy = remedies[errno]
  if (remedy === undefined) return cause
  const message = `The kernel refuses ${what} (${syscall}: ${errno}). ${remedy}`
  return new LinuxError('NETMEM_SYSCALL_FAILED', message, { cause, errno, syscall })
}

/** Makes the error of a socket's SO_ERROR. */
export function failureOfNumber(number: number, syscall: string): LinuxError {
  return failureOf(isErrno(number) ? number : ERRNO.EIO, syscall)
}

/** Returns `result`, or throws the error of `syscall` if it is -1. */
export function checked(result: number, syscall: string): number {
  if (result === -1) throw failure(syscall)
  return result
}

/** True if a signal interrupted the call before it did anything: it is to be made again. */
export function interrupted(result: number): boolean {
  return result === -1 && libc().errno() === ERRNO.EINTR
}

/** Returns `result`, or undefined if the call would have had to wait, or throws the error of `syscall`. */
export function checkedOrWait(result: number, syscall: string): number | undefined {
  if (result !== -1) return result
  if (libc().errno() === ERRNO.EAGAIN) return undefined
  throw failure(syscall)
}
