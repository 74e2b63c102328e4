/** Whole numbers in netlink's attributes and structs, by width, sign and byte order. */

import { ArgumentRangeError, ArgumentTypeError } from '../errors.ts'
import type { ScalarType } from './netlink-tables.ts'

/** A number of up to 32 bits, or a bigint of 64. */
export type Scalar = number | bigint

/** Bytes of a number. `uint` and `sint` have 4 unless their value needs 8. */
export function scalarBytes(type: ScalarType): number {
  return SCALAR_BYTES[type]
}

const SCALAR_BYTES: Readonly<Record<ScalarType, number>> = {
  ...{ u8: 1, u16: 2, u32: 4, u64: 8, uint: 4 },
  ...{ s8: 1, s16: 2, s32: 4, s64: 8, sint: 4 },
}

/** Reads a number of `bytes` bytes at byte `at`, which is inside of `view`. */
export function readScalar(
  view: DataView,
  at: number,
  bytes: number,
  signed: boolean,
  little: boolean,
): Scalar {
  switch (bytes) {
    case 1:
      return signed ? view.getInt8(at) : view.getUint8(at)
    case 2:
      return signed ? view.getInt16(at, little) : view.getUint16(at, little)
    case 4:
      return signed ? view.getInt32(at, little) : view.getUint32(at, little)
    default:
      return signed ? view.getBigInt64(at, little) : view.getBigUint64(at, little)
  }
}

/**
 * Returns a number's bytes.
 *
 * @param name of the attribute, for messages.
 * @throws NETMEM_INVALID_ARGUMENT for a value that is no number, and NETMEM_OUT_OF_RANGE for one that
 *   does not fit.
 */
export function scalarToBytes(
  name: string,
  type: ScalarType,
  value: unknown,
  little: boolean,
): Uint8Array {
  if (typeof value !== 'bigint' && typeof value !== 'number') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${name} must be a number, not ${value === null ? 'null' : typeof value}.`,
    )
  }
  const signed = type.startsWith('s')
  const auto = type === 'uint' || type === 'sint'
  let bytes = scalarBytes(type)
  if (auto && !fits(value, 4, signed)) bytes = 8
  if (!fits(value, bytes, signed)) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `${name} must be a whole number of type ${type}, not ${value}.`,
    )
  }
  const out = new Uint8Array(bytes)
  const view = new DataView(out.buffer)
  const number = Number(value)
  if (bytes === 1) view.setUint8(0, number)
  else if (bytes === 2) view.setUint16(0, number, little)
  else if (bytes === 4) view.setUint32(0, number, little)
  else view.setBigUint64(0, BigInt(value), little)
  return out
}

function fits(value: Scalar, bytes: number, signed: boolean): boolean {
  if (typeof value === 'number' && !Number.isInteger(value)) return false
  const whole = BigInt(value)
  return (signed ? BigInt.asIntN : BigInt.asUintN)(bytes * 8, whole) === whole
}
