/** Errors of netlink: refusals of the kernel, and failures on the way to it. */

import { getSystemErrorMap } from 'node:util'
import { type CodeOf, LifetimeError, NetmemError } from '../../errors.ts'
import { type ErrnoName, errnoName } from '../sys/index.ts'
import type { AttributePolicy } from './policy.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_NETLINK_REFUSED: 'NetlinkError'
    NETMEM_NETLINK_NO_FAMILY: 'NetlinkError'
    NETMEM_NETLINK_TRUNCATED: 'NetlinkError'
    NETMEM_NETLINK_OVERRUN: 'NetlinkError'
    NETMEM_NETLINK_CLOSED: 'LifetimeError'
  }
}

/** Details of a {@link NetlinkError}: what the kernel's acknowledgement says. */
export interface NetlinkErrorDetails extends ErrorOptions {
  /** Name of the kernel's error number. */
  readonly errno?: ErrnoName | undefined
  /** The kernel's own words. */
  readonly kernelMessage?: string | undefined
  /** Names of the refused attribute and of the nests around it, joined by dots. */
  readonly attribute?: string | undefined
  /** Name of the attribute that the request lacks, in the same form. */
  readonly missing?: string | undefined
  /** Policy that the refused attribute broke. */
  readonly policy?: AttributePolicy | undefined
}

/** A request that the kernel refused, or whose reply was lost. */
export class NetlinkError extends NetmemError<'NetlinkError'> {
  /** Name of the kernel's error number, such as `EOPNOTSUPP`, or undefined if it sent none. */
  readonly errno: ErrnoName | undefined
  /** The kernel's own words, such as `tcp-data-split is disabled`, or undefined if it sent none. */
  readonly kernelMessage: string | undefined
  /** Refused attribute with the nests around it, such as `queues.id`, or undefined. */
  readonly attribute: string | undefined
  /** Attribute that the request lacks, with the nests around it, or undefined. */
  readonly missing: string | undefined
  /** Policy that the refused attribute broke, or undefined. */
  readonly policy: AttributePolicy | undefined

  constructor(code: CodeOf<'NetlinkError'>, message: string, details: NetlinkErrorDetails = {}) {
    const { errno, kernelMessage, attribute, missing, policy, ...rest } = details
    super(code, message, rest)
    this.errno = errno
    this.kernelMessage = kernelMessage
    this.attribute = attribute
    this.missing = missing
    this.policy = policy
  }
}

const REMEDIES: { readonly [Name in ErrnoName]?: string } = {
  EPERM: 'Run it as root, or with CAP_NET_ADMIN in the network namespace.',
  ENODEV: 'Check the index of the interface: there is none with it in this network namespace.',
  ENOENT: 'Check the id: the kernel has no such object in this network namespace.',
  EOPNOTSUPP: 'The kernel or the driver of the interface does not have it.',
  EBUSY: 'Another user has it: end that use first.',
  EEXIST: 'It is there already: remove it first.',
  ERANGE: 'Choose a value in the range that `netlink.policy()` shows.',
}

/** The errno in words, such as `no such device`. */
function errnoWords(number: number): string {
  // libuv's words speak of a socket.
  if (errnoName(number) === 'EOPNOTSUPP') return 'operation not supported'
  return getSystemErrorMap().get(-number)?.[1] ?? `errno ${number}`
}

/** Makes the error of a request that the kernel refused. `what` names the request. */
export function kernelRefused(
  what: string,
  number: number,
  details: NetlinkErrorDetails,
): NetlinkError {
  const { errno, kernelMessage, attribute, missing } = details
  const words = kernelMessage ?? errnoWords(number)
  const place = attribute === undefined ? '' : `, at the attribute ${attribute}`
  const lacks = missing === undefined ? '' : `, for want of the attribute ${missing}`
  const remedy =
    (errno === undefined ? undefined : REMEDIES[errno]) ??
    'Compare the request with what `netlink.policy()` shows.'
  return new NetlinkError(
    'NETMEM_NETLINK_REFUSED',
    `${what}: ${words} (${errno ?? number})${place}${lacks}. ${remedy}`,
    details,
  )
}

/** Error of a reply that the receive buffer had no room for. */
export function overrun(what: string): NetlinkError {
  return new NetlinkError(
    'NETMEM_NETLINK_OVERRUN',
    `${what}: the socket's receive buffer was full, so the kernel dropped a message. ` +
      'Raise receiveBufferBytes of openNetlink().',
    { errno: 'ENOBUFS' },
  )
}

/** Error of a message that is longer than the memory it was received into. */
export function truncated(what: string, bytes: number, room: number): NetlinkError {
  return new NetlinkError(
    'NETMEM_NETLINK_TRUNCATED',
    `${what}: a message of ${bytes} bytes was cut to ${room}. ` +
      'The kernel sends no larger ones: report it with the output of `uname -r`.',
  )
}

/** Error of a client that was closed. */
export function clientClosed(): LifetimeError {
  return new LifetimeError(
    'NETMEM_NETLINK_CLOSED',
    'This netlink client is closed: open another with openNetlink().',
  )
}
