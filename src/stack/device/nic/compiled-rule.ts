/** Steering rules as frames are compared with them. */

import { checkInteger } from '../../../errors.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from '../../../wire/ip.ts'
import { MAX_STEERING_RULES, type SteeringMasks, type SteeringRule } from '../../rings/nic-types.ts'
import { configError } from './queue-config.ts'

/** Address and port to compare, with masks. Without a value an address has no bytes, and a port no bits. */
interface Endpoint {
  readonly address: Uint8Array
  readonly addressMask: Uint8Array
  readonly port: number
  readonly portMask: number
}

/** A rule and the bytes that frames are compared with. */
export interface CompiledRule {
  /** Kind of the rule. Five-tuple rules are tried first, then three-tuple rules. */
  readonly kind: 'fiveTuple' | 'threeTuple' | 'masked'
  /** Hash of the values of an exact rule. 0 for other rules. */
  readonly key: number
  readonly queue: number
  /** Equal in two rules for the same frames, by the same values and masks. */
  readonly identity: string
  readonly protocol: number
  /** Bytes of an address: 4, 16, or 0 for both versions of IP. */
  readonly addressBytes: number
  readonly destination: Endpoint
  readonly source: Endpoint
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
  const { destinationAddress, destinationPort } = rule
  const destination = compileEnd('destination', destinationAddress, destinationPort, masks)
  const from = compileEnd('source', source.address, source.port, masks)
  const { address } = destination
  const match = {
    protocol: protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP,
    addressBytes: addressBytesOf(rule.ipVersion, address.length, from.address.length),
    destination,
    source: from,
  }
  const compiled = { ...match, queue, identity: JSON.stringify(match) }
  if (isWhole(destination)) {
    const first = (match.protocol << 16) | destination.port
    const key = hashAddress(first, address, 0, address.length)
    if (isOpen(from)) return { kind: 'threeTuple', key, ...compiled }
    if (isWhole(from)) {
      const fullKey = hashAddress(key ^ from.port, from.address, 0, from.address.length)
      return { kind: 'fiveTuple', key: fullKey, ...compiled }
    }
  }
  return { kind: 'masked', key: 0, ...compiled }
}

/** True if a TCP or UDP frame is one of those that a rule is for. */
export function matches(
  rule: CompiledRule,
  bytes: Uint8Array,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  const { destination, source } = rule
  return (
    rule.protocol === layout.protocol &&
    (layout.destinationPort & destination.portMask) === destination.port &&
    (layout.sourcePort & source.portMask) === source.port &&
    (rule.addressBytes === layout.addressBytes || rule.addressBytes === 0) &&
    equal(destination, bytes, frameOffset + layout.destinationOffset) &&
    equal(source, bytes, frameOffset + layout.sourceOffset)
  )
}

/** Compiles one end of a flow: its values, and of `masks` those of its name. */
function compileEnd(
  name: 'source' | 'destination',
  address: Uint8Array | undefined,
  port: number | undefined,
  masks: SteeringMasks,
): Endpoint {
  const bytes = addressOf(address)
  const addressMask = maskOf(bytes, masks[`${name}Address`])
  const portMask = portMaskOf(`${name}Port`, port, masks[`${name}Port`])
  return {
    address: bytes.map((byte, at) => byte & (addressMask[at] ?? 0)),
    addressMask,
    port: (port ?? 0) & portMask,
    portMask,
  }
}

/** True if the whole address and port are compared. */
function isWhole({ addressMask, portMask }: Endpoint): boolean {
  return addressMask.length > 0 && addressMask.every((byte) => byte === 0xff) && portMask === 0xffff
}

/** True for every address and port. */
function isOpen({ addressMask, portMask }: Endpoint): boolean {
  return addressMask.every((byte) => byte === 0) && portMask === 0
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

function portMaskOf(name: string, port: number | undefined, mask: number | undefined): number {
  if (port === undefined) {
    if (mask === undefined) return 0
    throw configError(`The mask of ${name} needs a port. Name the port, too.`)
  }
  checkInteger(name, port, 0, 0xffff)
  return checkInteger(`mask of ${name}`, mask ?? 0xffff, 0, 0xffff)
}

function equal({ address, addressMask }: Endpoint, bytes: Uint8Array, offset: number): boolean {
  for (let at = 0; at < address.length; at++) {
    if (((bytes[offset + at] ?? 0) & (addressMask[at] ?? 0)) !== address[at]) return false
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
