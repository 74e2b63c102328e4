import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import { DeviceError } from '../../device-error.ts'
import type { AnySkb } from '../skb/skb.ts'
import { iovSource, pageSource, pattern } from '../skb/skbs.test.helper.ts'
import { endAll, iovPiece, recv } from './devmem-socket.test.helper.ts'
import { DevmemSocket } from './devmem-socket.ts'

/** One queued byte: `host` or `linear` with its value, or its offset in device memory with 0. */
type Place = readonly [kind: 'host' | 'linear' | number, at: number]

test('any skbs read in any parts: every byte once, in order, where it is', async () => {
  const pages = pageSource(256)
  const iovs = iovSource(256)
  const frag = fc.tuple(fc.nat({ max: 300 }), fc.integer({ min: 1, max: 90 }))
  const packet = fc.record({
    device: fc.boolean(),
    linear: fc.nat({ max: 30 }),
    frags: fc.array(frag, { maxLength: 5 }),
  })
  const call = fc.record({
    length: fc.nat({ max: 150 }),
    messages: fc.nat({ max: 4 }),
    frees: fc.nat({ max: 8 }),
  })
  fc.assert(
    fc.property(
      fc.array(packet, { maxLength: 8 }),
      fc.array(call, { maxLength: 40 }),
      (packets, calls) => {
        const socket = new DevmemSocket({ tokenLimit: 30 })
        const expected: Place[] = []
        for (const [index, { device, linear, frags }] of packets.entries()) {
          const bytes = pattern(linear, index)
          const named = device && frags.length > 0
          expected.push(...Array.from(bytes, (byte): Place => [named ? 'linear' : 'host', byte]))
          let skb: AnySkb
          iovs.forget()
          if (device) {
            skb = iovs.skb(
              frags.map(([offset, length]) => iovPiece(0, length, offset)),
              bytes,
            )
            for (let at = 0; at < skb.fragCount; at++) {
              const place = iovs.provider.offset(some(skb.frags[at])) + (skb.offsets[at] ?? 0)
              for (let byte = 0; byte < (skb.lengths[at] ?? 0); byte++) {
                expected.push([place + byte, 0])
              }
            }
          } else {
            const total = frags.reduce((sum, [, length]) => sum + length, 0)
            const rest = pattern(total, index + 100)
            skb = pages.of(Uint8Array.of(...bytes, ...rest), linear)
            expected.push(...Array.from(rest, (byte): Place => ['host', byte]))
          }
          assert.ok(socket.queue(skb))
        }
        const seen: Place[] = []
        const tokens: number[] = []
        for (const { length, messages, frees } of [...calls, ...drain]) {
          tokens.splice(0, frees).forEach((start) => {
            assert.equal(socket.dontneed([{ start, count: 1 }]), 1)
          })
          try {
            const received = recv(socket, length, messages)
            let at = 0
            let sum = 0
            for (const message of received.messages) {
              if (message.kind === 'linear') {
                for (const byte of received.data.subarray(at, at + message.fragSize)) {
                  seen.push(['linear', byte])
                }
                at += message.fragSize
                sum += message.fragSize
              } else if (message.kind === 'dmabuf') {
                for (let byte = 0; byte < message.fragSize; byte++) {
                  seen.push([message.fragOffset + byte, 0])
                }
                // The lowest that is free.
                const free = Array.from({ length: 31 }, (_, n) => n + 1).find(
                  (token) => !tokens.includes(token),
                )
                assert.equal(message.fragToken, free)
                tokens.push(message.fragToken)
                sum += message.fragSize
              }
            }
            if (received.messages.length > 0) assert.equal(sum, received.bytes)
            else for (const b of received.data.subarray(0, received.bytes)) seen.push(['host', b])
            assert.ok(received.bytes <= length && received.messages.length <= messages)
          } catch (error) {
            if (!(error instanceof DeviceError)) throw error
            assert.ok(
              ['NETMEM_WOULD_BLOCK', 'NETMEM_CONTROL_SPACE', 'NETMEM_NO_TOKEN'].includes(
                error.code,
              ),
            )
          }
          assert.equal(socket.stats().tokens, tokens.length)
        }
        assert.deepEqual(seen, expected)
        socket.close()
        assert.equal(iovs.pool.out + pages.pool.out, 0)
      },
    ),
    { numRuns: 100 },
  )
  await endAll(pages, iovs)
})

/** Calls that read all that is left. */
const drain = Array.from({ length: 60 }, () => ({ length: 5000, messages: 20, frees: 30 }))
