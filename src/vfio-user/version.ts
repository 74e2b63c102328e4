/** Negotiation of the protocol's version: two numbers and a JSON text. Pure. */

import { isFields } from '../errors.ts'
import { MAX_MESSAGE_BYTES } from '../wire/vfio-user.ts'
import { VfioUserError } from './vfio-user-error.ts'

/** Most descriptors that one message brings. */
export const MAX_DESCRIPTORS = 16
/** Most maps of a guest's memory. */
export const MAX_DMA_MAPS = 1024
/** Longest read or write of a region. */
export const MAX_TRANSFER_BYTES: number = MAX_MESSAGE_BYTES / 4

/** Version that this server speaks. QEMU has spoken it since 10.1. */
const MAJOR = 0
const MINOR = 0
/** Bytes of the two numbers. */
const NUMBERS = 4

const CAPABILITIES = {
  max_msg_fds: MAX_DESCRIPTORS,
  max_data_xfer_size: MAX_TRANSFER_BYTES,
  pgsizes: 4096,
  max_dma_maps: MAX_DMA_MAPS,
}

/**
 * Checks what a client proposes, and returns the body of the answer.
 *
 * @throws NETMEM_VFIO_USER_VERSION for another major version, and for a text that is no JSON object.
 */
export function negotiateVersion(body: Uint8Array): Uint8Array {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  if (body.length < NUMBERS) {
    throw refusal('The client names no version of the protocol')
  }
  const major = view.getUint16(0, true)
  if (major !== MAJOR) {
    throw refusal(
      `The client speaks version ${major}.${view.getUint16(2, true)} of the protocol, and this server ${MAJOR}.${MINOR}`,
    )
  }
  checkText(body.subarray(NUMBERS))
  const text = new TextEncoder().encode(`${JSON.stringify({ capabilities: CAPABILITIES })}\0`)
  const answer = new Uint8Array(NUMBERS + text.length)
  answer.set(text, NUMBERS)
  new DataView(answer.buffer).setUint16(2, Math.min(MINOR, view.getUint16(2, true)), true)
  return answer
}

/** Throws unless the text is empty, or a JSON object whose capabilities are an object if there are any. */
function checkText(bytes: Uint8Array): void {
  const end = bytes.indexOf(0)
  if (bytes.length === 0 || end === 0) return
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end)))
  } catch {
    throw refusal('The client describes itself in a text that is no JSON')
  }
  if (end !== -1 && isFields(value)) {
    const capabilities = value['capabilities']
    if (capabilities === undefined || isFields(capabilities)) return
  }
  throw refusal('The client does not describe itself by a JSON object')
}

function refusal(what: string): VfioUserError {
  return new VfioUserError('NETMEM_VFIO_USER_VERSION', `${what}. Use QEMU 10.1 or newer.`)
}
