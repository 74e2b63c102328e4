/** Helpers of the tests of parseFrame: headers written out by hand. Not published. */

import assert from 'node:assert/strict'
import { FrameLayout, parseFrame } from './frame-layout.ts'
import { hex } from './frames.test.helper.ts'

// Headers written out by hand, so that they owe nothing to the code under test.
export const ETHERNET = '02 00 00 00 00 02  02 00 00 00 00 01'

/** Header from port 80 to 4660, seq 1, ack 2, PSH and ACK, window 512, urgent pointer 3. */
export const TCP = '00 50 12 34  00 00 00 01  00 00 00 02  50 18 02 00  00 00 00 03'

export const UDP = '00 50 12 34'

/** IPv4 with everything open that the tests change. */
export function ipv4(
  total: string,
  protocol: string,
  {
    first = '45',
    fragment = '40 00',
  }: { readonly first?: string; readonly fragment?: string } = {},
): string {
  return `08 00 ${first} 00 ${total} 00 01 ${fragment} 40 ${protocol} 00 00 0a 00 00 01 0a 00 00 02`
}

export function ipv6(payload: string, next: string): string {
  const address = '20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00'
  return `86 dd 60 00 00 00 ${payload} ${next} 40 ${address} 01 ${address} 02`
}

export function layoutOf(text: string, wireLength?: number): FrameLayout {
  const frame = hex(text)
  return parseFrame(frame, 0, frame.length, new FrameLayout(), wireLength)
}

export function kindOf(text: string, wireLength?: number): number {
  return layoutOf(text, wireLength).kind
}

/** `fields` of a layout, and nothing said of others. */
export function has(layout: FrameLayout, fields: Partial<FrameLayout>): void {
  assert.deepEqual({ ...layout, ...fields }, { ...layout })
}

/** `bytes` that throws where anything is read outside of `start` to `end`. */
export function guarded(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, property) {
      const at = Number(property)
      if (!Number.isNaN(at)) assert.ok(at >= start && at < end, `read ${at} of ${start} to ${end}`)
      return Reflect.get(target, property, target)
    },
  })
}
