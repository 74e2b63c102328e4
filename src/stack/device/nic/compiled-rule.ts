/** Steering rules as frames are compared with them. */

import { checkInteger } from '../../../errors.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from '../../../wire/ip.ts'
import { MAX_STEERING_RULES, type SteeringRule } from '../../rings/nic-types.ts'
import { configError } from './queue-config.ts'

/** Kinds of rules, in the order in which they are tried. */
export const FIVE_TUPLE = 0
const THREE_TUPLE = 1
export const MASKED = 2

/** A rule and the bytes that frames are compared with. Addresses without a value have no bytes. */
export interface CompiledRule {
  /** {@link FIVE_TUPLE} and so on. */
  readonly kind: number
  /** Hash of the values of an exact rule. */
  readonly key: number
  readonly queue: number
  /** Equal in two rules for the same frames, by the same values and masks. */
  readonly identity: string
  readonly protocol: number
  /** Bytes of an address: 4, 16, or 0 for both versions of IP. */
  readonly addressBytes: number
  readonly destination: Uint8Array
  readonly destinationMask: Uint8Array
  readonly source: Uint8Array
  readonly sourceMask: Uint8Array
  readonly destinationPort: number
  readonly destinationPortMask: number
  readonly sourcePort: number
  readonly sourcePortMask: number
}

/**
 * Compiles a rule, which comes from another thread as plain data.
 *
 * @throws NETMEM_NIC_CONFIG, NETMEM_OUT_OF_RANGE for a port or location.
 */
export function compileRule(rule: SteeringRule): CompiledRule {
  const { protocol, masks = {}, source = {}, queue } = rule
  if (protocol !== 'tcp' && protocol !== 'udp') {
    throw configError(`A steering rule is for 'tcp' or 'udp', not ${String(protocol)}.`)
  }
  if (rule.location !== undefined) {
    checkInteger('location', rule.location, 0, MAX_STEERING_RULES - 1)
  }
  const destination = addressOf(rule.destinationAddress)
  const from = addressOf(source.address)
  const destinationMask = maskOf(destination, masks.destinationAddress)
  const sourceMask = maskOf(from, masks.sourceAddress)
  const destinationPortMask = portMask('destinationPort', rule.destinationPort, masks)
  const sourcePortMask = portMask('sourcePort', source.port, masks)
  const match = {
    protocol: protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP,
    addressBytes: addressBytesOf(rule.ipVersion, destination.length, from.length),
    destination: masked(destination, destinationMask),
    destinationMask,
    source: masked(from, sourceMask),
    sourceMask,
    destinationPort: (rule.destinationPort ?? 0) & destinationPortMask,
    destinationPortMask,
    sourcePort: (source.port ?? 0) & sourcePortMask,
    sourcePortMask,
  }
  const compiled = { ...match, queue, identity: JSON.stringify(match) }
  const isWhole = (mask: Uint8Array, port: number): boolean =>
    mask.length > 0 && mask.every((byte) => byte === 0xff) && port === 0xffff
  const isOpen = sourceMask.every((byte) => byte === 0) && sourcePortMask === 0
  if (isWhole(destinationMask, destinationPortMask)) {
    const first = (compiled.protocol << 16) | compiled.destinationPort
    const key = hashAddress(first, destination, 0, destination.length)
    if (isOpen) return { kind: THREE_TUPLE, key, ...compiled }
    if (isWhole(sourceMask, sourcePortMask)) {
      const fullKey = hashAddress(key ^ compiled.sourcePort, from, 0, from.length)
      return { kind: FIVE_TUPLE, key: fullKey, ...compiled }
    }
  }
  return { kind: MASKED, key: 0, ...compiled }
}

/** True if a TCP or UDP frame is one of those that a rule is for. */
export function matches(
  rule: CompiledRule,
  bytes: Uint8Array,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  return (
    rule.protocol === layout.protocol &&
    (layout.destinationPort & rule.destinationPortMask) === rule.destinationPort &&
    (layout.sourcePort & rule.sourcePortMask) === rule.sourcePort &&
    (rule.addressBytes === layout.addressBytes || rule.addressBytes === 0) &&
    equal(rule.destination, rule.destinationMask, bytes, frameOffset + layout.destinationOffset) &&
    equal(rule.source, rule.sourceMask, bytes, frameOffset + layout.sourceOffset)
  )
}

function addressOf(address: Uint8Array | undefined): Uint8Array {
  if (address === undefined) return new Uint8Array(0)
  if (!(address instanceof Uint8Array)) {
    throw configError('The addresses of a steering rule are Uint8Arrays, in network order.')
  }
  if (address.length === 4 || address.length === 16) return address
  throw configError('The addresses of a steering rule have 4 bytes each, or 16 each.')
}

function addressBytesOf(ipVersion: unknown, destination: number, source: number): number {
  if (ipVersion !== undefined && ipVersion !== 4 && ipVersion !== 6) {
    throw configError(`ipVersion of a steering rule is 4 or 6, not ${String(ipVersion)}.`)
  }
  const stated = ipVersion === undefined ? 0 : ipVersion === 4 ? 4 : 16
  const lengths = [stated, destination, source].filter((bytes) => bytes > 0)
  const [first = 0] = lengths
  if (lengths.every((bytes) => bytes === first)) return first
  throw configError('The addresses of a steering rule have 4 bytes each, or 16 each.')
}

/** Returns the mask of an address: of all bits by default. */
function maskOf(address: Uint8Array, mask: Uint8Array | undefined): Uint8Array {
  if (mask === undefined) return new Uint8Array(address.length).fill(0xff)
  if (mask instanceof Uint8Array && mask.length === address.length) return new Uint8Array(mask)
  throw configError(
    'The mask of an address is a Uint8Array of as many bytes. Name the address, too.',
  )
}

function portMask(
  name: 'sourcePort' | 'destinationPort',
  port: number | undefined,
  masks: { readonly sourcePort?: number; readonly destinationPort?: number },
): number {
  const mask = masks[name]
  if (port === undefined) {
    if (mask === undefined) return 0
    throw configError(`The mask of ${name} needs a port. Name the port, too.`)
  }
  checkInteger(name, port, 0, 0xffff)
  return checkInteger(`mask of ${name}`, mask ?? 0xffff, 0, 0xffff)
}

function masked(address: Uint8Array, mask: Uint8Array): Uint8Array {
  return address.map((byte, at) => byte & (mask[at] ?? 0))
}

function equal(address: Uint8Array, mask: Uint8Array, bytes: Uint8Array, offset: number): boolean {
  for (let at = 0; at < address.length; at++) {
    if (((bytes[offset + at] ?? 0) & (mask[at] ?? 0)) !== address[at]) return false
  }
  return true
}

/**
 * Returns the hash of an address with what `initial` is a hash of, by FNV-1a's step. A rule's key is the
 * hash of protocol, destination port and address, and then of source port and address.
 */
export function hashAddress(
  initial: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  let key = initial
  for (let at = offset; at < offset + length; at++) {
    key = Math.imul(key ^ (bytes[at] ?? 0), 0x0100_0193)
  }
  return key
}
