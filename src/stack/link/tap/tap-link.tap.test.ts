// A TAP interface against the kernel's own stack, in a network namespace of the test's own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { isNetmemError } from '../../../errors.ts'
import { TUNSETOFFLOAD } from '../../../linux/sys/constants.ts'
import { ERRNO } from '../../../linux/sys/errno.ts'
import { POLLIN, PollSet } from '../../../linux/sys/index.ts'
import { libc } from '../../../linux/sys/libc.ts'
import { noneOpenSince, openDescriptors } from '../../../testing/descriptors.test.helper.ts'
import { turns } from '../../../testing/waiting.test.helper.ts'
import { buildUdpFrame } from '../../../wire/build-frame.test.helper.ts'
import { FrameKind } from '../../../wire/frame-layout.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import { pattern } from '../../device/nic/frames.test.helper.ts'
import { emptyFrame, FramePieces, type LinkFrame } from '../link.ts'
import {
  configure,
  exchangeTcp,
  ip,
  KERNEL,
  MSS,
  macOf,
  namespaced,
  PEER,
  PEER_MAC,
  skip,
  TcpPeer,
} from './tap.test.helper.ts'
import { createTapLink, type TapLink } from './tap-link.ts'

/** Next UDP frame, past what the kernel sends by itself. */
async function nextUdp(link: TapLink): Promise<LinkFrame> {
  for (;;) {
    const frame = link.receive(5)
    if (frame === undefined) await turns(1)
    else if (frame.layout?.kind === FrameKind.udp && frame.layout.ipVersion === 4) return frame
  }
}

describe('createTapLink', { skip }, () => {
  it('carries a datagram both ways, with the checksum left to the other end', async () => {
    await namespaced(async () => {
      const before = openDescriptors()
      const link = createTapLink({ name: 'tap%d', mtu: 1400 })
      assert.deepEqual([link.name, link.mtu, link.offloadRefusal], ['tap0', 1400, undefined])
      configure(link.name)
      await using socket = createSocket('udp4')
      socket.send('hello', 5001, PEER)
      const frame = await nextUdp(link)
      assert.deepEqual([frame.checksum, frame.segmentBytes, frame.timeNs], ['partial', 0, 5])
      assert.deepEqual([frame.length, frame.originalLength], [47, 47])
      const at = frame.offset + 42
      assert.equal(new TextDecoder().decode(frame.memory.bytes.subarray(at, at + 5)), 'hello')
      const heard = once(socket, 'message')
      const port = socket.address().port
      const memory = createFrameMemory(2000)
      const sent = emptyFrame(memory)
      const answer = {
        sourceMac: PEER_MAC,
        destinationMac: macOf(link.name),
        source: PEER,
        destination: KERNEL,
        sourcePort: 5001,
        destinationPort: port,
        payload: pattern(1000),
        checksum: 'partial',
      } as const
      const length = buildUdpFrame(answer, memory, 7)
      // The head of it as copied bytes, the rest from where it lies, in shared memory too.
      const apart = new Uint8Array(new SharedArrayBuffer(3000))
      apart.set(memory.bytes.subarray(7 + 100, 7 + length), 11)
      memory.bytes.fill(0xee, 7 + 100)
      const pieces = new FramePieces()
      pieces.add(apart.subarray(10), 1, 500)
      pieces.add(apart, 511, length - 600)
      Object.assign(sent, { offset: 7, length: 100, originalLength: length, checksum: 'partial' })
      link.transmitPieces(sent, pieces)
      const [message] = await heard
      assert.deepEqual(new Uint8Array(message), answer.payload)
      assert.deepEqual([link.tx_packets, link.tx_dropped], [1, 0])
      socket.close()
      await once(socket, 'close')
      ip('link', 'set', link.name, 'down')
      link.transmitPieces(sent, pieces)
      assert.deepEqual([link.tx_packets, link.tx_dropped], [1, 1])
      link.close()
      link.close()
      link.transmitPieces(sent, pieces)
      assert.equal(link.tx_dropped, 2)
      assert.equal(link.receive(0), undefined)
      assert.deepEqual([link.ended, link.nextAtNs(), link.descriptors], [true, Infinity, []])
      await noneOpenSince(before)
      assert.throws(() => ip('link', 'show', 'tap0'), /does not exist/)
    })
  })

  for (const offload of [true, false]) {
    it(`carries a TCP connection both ways (offload: ${offload})`, async () => {
      await namespaced(async () => {
        using link = createTapLink({ name: 'tap0', mtu: 1500, offload })
        configure(link.name)
        const peer = new TcpPeer(link, macOf(link.name))
        await exchangeTcp(peer, 400_000, offload)
        // The kernel's own TSO: its large frames have the segment size that was agreed.
        const isLarge = peer.arrived.some(({ segmentBytes }) => segmentBytes === MSS)
        const isPartial = peer.arrived.every(({ checksum }) => checksum === 'partial')
        assert.deepEqual([isLarge, isPartial], [offload, offload])
        if (!offload) assert.ok(peer.received.every(({ length }) => length <= MSS))
      })
    })
  }

  it('works without offloads that the kernel refuses, and says why', async (t) => {
    await namespaced(async () => {
      const calls = libc()
      const { ioctl } = calls
      let isRefused = false
      t.mock.method(calls, 'ioctl', (fd: number, request: number, argument: number) => {
        isRefused = request === TUNSETOFFLOAD
        return isRefused ? -1 : ioctl(fd, request, argument)
      })
      const { errno } = calls
      t.mock.method(calls, 'errno', () => (isRefused ? ERRNO.EINVAL : errno()))
      using link = createTapLink({ name: 'tap0', mtu: 1500 })
      t.mock.restoreAll()
      assert.match(link.offloadRefusal ?? '', /ioctl .*\(EINVAL\)/)
      assert.deepEqual(link.features, { largeFrames: true, partialChecksums: true })
      configure(link.name)
      const peer = new TcpPeer(link, macOf(link.name))
      // The link may send large frames and partial checksums. The kernel sends neither.
      await exchangeTcp(peer, 400_000, true)
      const received = new Set(peer.arrived.map(({ checksum }) => checksum))
      assert.deepEqual([...received], ['complete'])
      assert.ok(peer.received.every(({ length }) => length <= MSS))
    })
  })

  it('has a flow arrive on the queue on which its packets were written', async () => {
    await namespaced(async () => {
      using link = createTapLink({ name: 'tap0', queues: 4 })
      configure(link.name)
      const mac = macOf(link.name)
      const queues = new Set<number>()
      const memory = createFrameMemory(200)
      const sent = emptyFrame(memory)
      const set = new PollSet(4)
      await using socket = createSocket('udp4')
      socket.bind(7000, KERNEL)
      await once(socket, 'listening')
      for (let port = 5000; port < 5040; port++) {
        const fields = {
          sourceMac: PEER_MAC,
          destinationMac: mac,
          source: PEER,
          destination: KERNEL,
        }
        const options = { ...fields, sourcePort: port, destinationPort: 7000, payload: pattern(9) }
        sent.length = sent.originalLength = buildUdpFrame(options, memory, 0)
        while (link.receive(0) !== undefined);
        const heard = once(socket, 'message')
        link.transmit(sent)
        await heard
        socket.send('x', port, PEER)
        for (const [index, fd] of link.descriptors.entries()) set.set(index, fd, POLLIN)
        while (set.wait(0) === 0) await turns(1)
        const ready = [0, 1, 2, 3].filter((index) => set.events(index) !== 0)
        // Each of 40 flows has one queue, that of its packets.
        assert.equal(ready.length, 1)
        queues.add(ready[0] ?? -1)
        await nextUdp(link)
      }
      assert.equal(queues.size, 4)
    })
  })

  it('refuses with a code and a remedy', async () => {
    await namespaced(() => {
      using link = createTapLink({ name: 'tap0' })
      const refused = (open: () => unknown, code: string, words: RegExp): void =>
        assert.throws(open, (error) => {
          assert.ok(isNetmemError(error), `${error}`)
          assert.equal(error.code, code)
          assert.match(error.message, words)
          return true
        })
      refused(() => createTapLink({ name: 'tap0' }), 'NETMEM_TAP_NAME_TAKEN', /EBUSY/)
      refused(() => createTapLink({ name: 'lo' }), 'NETMEM_TAP_NAME_TAKEN', /EINVAL/)
      refused(() => createTapLink({ name: 'tap1', mtu: 65_522 }), 'NETMEM_OUT_OF_RANGE', /65521/)
      refused(() => createTapLink({ name: 'tap1', queues: 257 }), 'NETMEM_OUT_OF_RANGE', /256/)
      for (const name of ['', '..', 'a b', 'a/b', 'ä'.repeat(8)]) {
        refused(() => createTapLink({ name }), 'NETMEM_OUT_OF_RANGE', /1 to 15 bytes/)
      }
      refused(() => createTapLink({ name: 1 as never }), 'NETMEM_INVALID_ARGUMENT', /number/)
      using largest = createTapLink({ name: 'tap1', mtu: 65_521 })
      assert.equal(largest.mtu, 65_521)
      ip('link', 'delete', 'tap0')
      refused(() => link.receive(0), 'NETMEM_TAP_GONE', /EBADFD/)
      assert.deepEqual([link.ended, link.receive(0), link.descriptors], [true, undefined, []])
    })
  })

  it('refuses in processes without rights, and where there is no /dev/net/tun', async () => {
    const script = `
      const { createTapLink } = await import('${new URL('./tap-link.js', import.meta.url).href}')
      try { createTapLink({ name: 'netmemtap9' }) } catch ({ code, message }) { console.log(code, message) }`
    const node = [process.execPath, '--input-type=module', '--eval', script]
    await namespaced(() => {
      const run = (...before: string[]): string => {
        const [command = '', ...rest] = [...before, ...node]
        const { stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8' })
        assert.equal(stderr, '')
        return stdout
      }
      // The program stays root by its number, so it may read this file and write the report of its coverage.
      const unprivileged = run('setpriv', '--bounding-set=-all', '--inh-caps=-all')
      assert.match(unprivileged, /^NETMEM_TAP_PERMISSION .*setcap cap_net_admin/)
      const hide = 'mount -t tmpfs none /dev/net && exec "$0" "$@"'
      const without = run('unshare', '--mount', 'sh', '-c', hide)
      assert.match(without, /^NETMEM_TAP_UNAVAILABLE .*modprobe tun/)
    })
  })
})
