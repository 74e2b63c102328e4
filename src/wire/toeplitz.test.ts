import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { buildIpFrame, buildTcpFrame, buildUdpFrame } from './build-frame.test.helper.ts'
import { FrameLayout, parseFrame } from './frame-layout.ts'
import { createFrameMemory } from './frame-memory.ts'
import { tcpFrames } from './frames.test.helper.ts'
import { createToeplitzTable, DEFAULT_RSS_KEY, toeplitzHash } from './toeplitz.ts'

// "Verifying the RSS hash calculation", Microsoft: source and destination, the hash of the
// addresses, and that with the ports.
const SUITE = [
  ['66.9.149.187', 2794, '161.142.100.80', 1766, 0x323e8fc2, 0x51ccc178],
  ['199.92.111.2', 14230, '65.69.140.83', 4739, 0xd718262a, 0xc626b0ea],
  ['24.19.198.95', 12898, '12.22.207.184', 38024, 0xd2d0a5de, 0x5c2b394a],
  ['38.27.205.30', 48228, '209.142.163.6', 2217, 0x82989176, 0xafc7327f],
  ['153.39.163.191', 44251, '202.188.127.2', 1303, 0x5d1809c5, 0x10e828a2],
  ['3ffe:2501:200:1fff::7', 2794, '3ffe:2501:200:3::1', 1766, 0x2cc18cd5, 0x40207d3d],
  ['3ffe:501:8::260:97ff:fe40:efab', 14230, 'ff02::1', 4739, 0x0f0c461c, 0xdde51bbf],
  [
    ...(['3ffe:1900:4545:3:200:f8ff:fe21:67cf', 44251] as const),
    ...(['fe80::200:f8ff:fe21:67cf', 38024, 0x4b61e985, 0x02d1feef] as const),
  ],
] as const

const memory = createFrameMemory(4096)
const layout = new FrameLayout()
const OFFSET = 6

function hash(table: Readonly<Int32Array>, length: number, ports?: boolean): number {
  parseFrame(memory.bytes, OFFSET, length, layout)
  return toeplitzHash(table, memory.bytes, OFFSET, layout, ports)
}

/** Bit by bit, on one big number. */
function model(key: Readonly<Uint8Array>, input: Uint8Array): number {
  const bits = (bytes: Readonly<Uint8Array>) =>
    Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  const keyBits = bits(key)
  let sum = 0
  for (const [at, bit] of Array.from(bits(input)).entries()) {
    if (bit === '1') sum ^= Number.parseInt(keyBits.slice(at, at + 32), 2)
  }
  return sum
}

describe('the Toeplitz hash', () => {
  const table = createToeplitzTable(DEFAULT_RSS_KEY)

  for (const [source, sourcePort, destination, destinationPort, two, four] of SUITE) {
    it(`is the published one from ${source} to ${destination}`, () => {
      const flow = { source, destination, sourcePort, destinationPort }
      for (const build of [buildTcpFrame, buildUdpFrame]) {
        const length = build(flow, memory, OFFSET)
        assert.equal(hash(table, length), four | 0)
        assert.equal(hash(table, length, false), two | 0)
      }
      const payload = new Uint8Array(40)
      const icmp = buildIpFrame({ ...flow, protocol: 1, payload }, memory, OFFSET)
      assert.equal(hash(table, icmp), two | 0)
      const fragment = { offset: 0, more: true }
      const first = buildIpFrame({ ...flow, protocol: 6, payload, fragment }, memory, OFFSET)
      assert.equal(hash(table, first), two | 0)
    })
  }

  it('is that of the model, for any key, wherever the headers are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 40, maxLength: 40 }),
        tcpFrames,
        fc.boolean(),
        (key, frame, ports) => {
          const length = buildTcpFrame(frame, memory, OFFSET)
          const { source, destination, sourcePort, destinationPort } = frame
          const input = [...source, ...destination].map(Number)
          if (ports) {
            input.push(sourcePort >> 8, sourcePort & 255)
            input.push(destinationPort >> 8, destinationPort & 255)
          }
          const expected = model(key, Uint8Array.from(input))
          assert.equal(hash(createToeplitzTable(key), length, ports), expected)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is 0 without IP', () => {
    memory.bytes.fill(0xff)
    assert.equal(hash(table, 60), 0)
  })

  it('takes keys of 40 bytes alone', () => {
    for (const bytes of [0, 39, 41, 52]) {
      assert.throws(() => createToeplitzTable(new Uint8Array(bytes)), {
        name: 'RangeError',
        code: 'NETMEM_OUT_OF_RANGE',
      })
    }
  })
})
