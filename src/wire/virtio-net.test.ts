import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'
import { hex } from './frames.test.helper.ts'
import {
  parseVirtioNet,
  VIRTIO_NET_HDR,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VirtioNetHeader,
  writeVirtioNet,
} from './virtio-net.ts'

const { BYTES } = VIRTIO_NET_HDR

test('a header is laid out as virtio has it, little-endian', () => {
  const header = new VirtioNetHeader()
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM
  header.gsoType = VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN
  header.headerBytes = 0x0102
  header.gsoSize = 0x0304
  header.checksumStart = 54
  header.checksumOffset = 16
  const bytes = new Uint8Array(12)
  assert.equal(writeVirtioNet(bytes, 1, header), BYTES)
  assert.deepEqual(bytes, hex('00 01 84 0201 0403 3600 1000 00'))
})

test('headers come back as they were, and a cut one is refused', () => {
  const word = fc.nat(0xffff)
  const fields = fc.record({
    flags: fc.nat(0xff),
    gsoType: fc.nat(0xff),
    headerBytes: word,
    gsoSize: word,
    checksumStart: word,
    checksumOffset: word,
  })
  fc.assert(
    fc.property(fields, fc.nat(9), (header, at) => {
      const bytes = new Uint8Array(at + BYTES)
      writeVirtioNet(bytes, at, header)
      const read = new VirtioNetHeader()
      for (let end = at; end < at + BYTES; end++) {
        assert.equal(parseVirtioNet(bytes, at, end, read), false)
      }
      assert.deepEqual(read, new VirtioNetHeader())
      assert.equal(parseVirtioNet(bytes, at, at + BYTES, read), true)
      assert.deepEqual({ ...read }, { ...header })
    }),
  )
})
