// Cards on a TAP interface, with the driver model behind their socket and the kernel as their peer.
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { isNetmemError } from '../errors.ts'
import { Fate } from '../stack/link/fate.ts'
import { emptyFrame, type Link } from '../stack/link/link.ts'
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
} from '../stack/link/tap/tap.test.helper.ts'
import { createTapLink } from '../stack/link/tap/tap-link.ts'
import { noneOpenSince, openDescriptors } from '../testing/descriptors.test.helper.ts'
import { pumping, until } from '../testing/waiting.test.helper.ts'
import { buildUdpFrame } from '../wire/build-frame.test.helper.ts'
import { FrameLayout, parseFrame } from '../wire/frame-layout.ts'
import { createFrameMemory } from '../wire/frame-memory.ts'
import { openCard } from './open-card.ts'
import { connectDriver, received } from './served-card.test.helper.ts'
import type { DriverModel } from './testing/driver-model.test.helper.ts'
import type { ReceivedPacket } from './testing/driver-rx.test.helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'netmem-card-'))
after(() => rmSync(folder, { recursive: true }))
const socket = join(folder, 'card.sock')
const tap = { kind: 'tap', name: 'tap0' } as const

/** The driver as a link, on which the TAP's TCP peer can be. */
function linkOf(driver: DriverModel): Link {
  const memory = createFrameMemory(2 ** 17)
  const taken = emptyFrame(memory)
  const layout = new FrameLayout()
  const packets: ReceivedPacket[] = []
  return {
    features: { largeFrames: true, partialChecksums: true },
    receive() {
      if (packets.length === 0) packets.push(...driver.poll())
      const packet = packets.shift()
      if (packet === undefined) return undefined
      memory.bytes.set(packet.headers)
      memory.bytes.set(packet.payload, packet.headers.length)
      taken.length = packet.headers.length + packet.payload.length
      taken.segmentBytes = packet.segmentBytes
      return taken
    },
    nextAtNs: () => 0,
    ended: false,
    transmit({ memory: { bytes }, offset, length, segmentBytes }) {
      const { headerLength } = parseFrame(bytes, offset, length, layout)
      const large = segmentBytes > 0 ? { segmentBytes, headerBytes: headerLength } : {}
      const sent = bytes.subarray(offset, offset + length)
      assert.notEqual(driver.send(0, sent, { checksum: true, ...large }), -1)
    },
    close() {},
    [Symbol.dispose]() {},
  }
}

function udp(payload: Uint8Array, destinationPort: number): Uint8Array {
  const memory = createFrameMemory(2000)
  const fields = { sourceMac: PEER_MAC, destinationMac: macOf('tap0'), source: PEER }
  const ports = { destination: KERNEL, sourcePort: 5001, destinationPort }
  return memory.bytes.slice(0, buildUdpFrame({ ...fields, ...ports, payload }, memory, 0))
}

describe('a card on a TAP interface', { skip }, () => {
  it('carries a TCP connection of the kernel both ways, in large packets', async () => {
    await namespaced(async () => {
      const before = openDescriptors()
      {
        await using card = await openCard({ socket, link: tap })
        configure('tap0')
        using served = connectDriver(socket)
        const { driver } = served
        driver.probe()
        driver.open({ queues: 1, split: true, coalesce: true })
        const peer = new TcpPeer(linkOf(driver), macOf('tap0'))
        await exchangeTcp(peer, 200_000, true)
        assert.ok(peer.arrived.some(({ segmentBytes }) => segmentBytes === MSS))
        const [look] = await card.look()
        assert.ok(look !== undefined)
        assert.deepEqual(look.link, {
          kind: 'tap',
          name: 'tap0',
          mtu: 1500,
          offloadRefusal: undefined,
        })
        assert.match(look.mac, /^02:6e:6d:(?!00:00:0[12])/)
        assert.deepEqual([look.connected, look.mtu, look.state.rxQueues.length], [true, 1500, 1])
        const { tx_hw_gso_packets, tx_dma_faults, rx_csum_bad } = look.stats.device
        assert.deepEqual([tx_hw_gso_packets, tx_dma_faults, rx_csum_bad], [1, 0, 0])
      }
      await noneOpenSince(before)
      assert.throws(() => ip('link', 'show', 'tap0'), /does not exist/)
    })
  })

  it('loses a part of the frames both ways, by its seed', async () => {
    const FRAMES = 40
    const faults = { seed: 4, loss: 0.5 }
    const fate = new Fate(faults)
    const memory = createFrameMemory(1)
    const kept = Array.from({ length: FRAMES }, (_, at) => at).filter(() => {
      fate.draw(emptyFrame(memory))
      return !fate.lost
    })
    assert.ok(kept.length > 10 && kept.length < 30)
    await namespaced(async () => {
      await using _card = await openCard({ socket, link: tap, mtu: 1400, ...faults })
      configure('tap0')
      using served = connectDriver(socket)
      const { driver } = served
      driver.probe()
      assert.equal(driver.facts.mtu, 1400)
      driver.open({ queues: 1 })
      await using peer = createSocket('udp4')
      peer.bind(7000, KERNEL)
      await once(peer, 'listening')
      for (let at = 0; at < FRAMES; at++) {
        await new Promise((sent) => peer.send(Uint8Array.of(at), 5001, PEER, sent))
      }
      const packets = await received(driver, kept.length)
      assert.deepEqual(
        packets.map(({ payload }) => payload[42]),
        kept,
      )
      const heard: (number | undefined)[] = []
      peer.on('message', (message) => void heard.push(message[0]))
      for (let at = 0; at < FRAMES; at++) {
        assert.notEqual(driver.send(0, udp(Uint8Array.of(at), 7000)), -1)
      }
      await pumping(
        () => driver.poll(),
        () => heard.length === kept.length,
      )
      assert.deepEqual(heard, kept)
    })
  })

  it('drops what arrives while the guest’s interface is down', async () => {
    await namespaced(async () => {
      await using _card = await openCard({ socket, link: tap })
      configure('tap0')
      await using peer = createSocket('udp4')
      const send = (text: string) => new Promise((sent) => peer.send(text, 5001, PEER, sent))
      await send('before')
      // The interface has sent it, and what the card has not taken would arrive later.
      await until(() => /TX:.*\n +\d+ +1 /.test(ip('-s', 'link', 'show', 'tap0')))
      using served = connectDriver(socket)
      const { driver } = served
      driver.probe()
      driver.open({ queues: 1 })
      await send('after')
      const [packet] = await received(driver, 1)
      assert.equal(new TextDecoder().decode(packet?.payload.subarray(42)), 'after')
    })
  })

  it('has its link down once the interface is gone, and says so', async () => {
    await namespaced(async () => {
      const faults: string[] = []
      const onFault = (at: string, code: string): void => void faults.push(at, code)
      await using card = await openCard({ socket, link: tap, onFault })
      configure('tap0')
      using served = connectDriver(socket)
      const { driver } = served
      driver.probe()
      driver.open({ queues: 1 })
      assert.equal(driver.admin.linkUp, true)
      ip('link', 'delete', 'tap0')
      await until(() => faults.length > 0)
      assert.deepEqual(faults, [socket, 'NETMEM_TAP_GONE'])
      assert.equal(driver.admin.linkUp, false)
      assert.equal((await card.look())[0]?.connected, true)
    })
  })

  it('refuses as the TAP interface does', async () => {
    await namespaced(async () => {
      const before = openDescriptors()
      {
        using _taken = createTapLink({ name: 'tap0' })
        await assert.rejects(openCard({ socket, link: tap }), (error) => {
          assert.ok(isNetmemError(error))
          assert.equal(error.code, 'NETMEM_TAP_NAME_TAKEN')
          return true
        })
      }
      const wrong = openCard({ socket, link: { kind: 'tap', name: 'a b' } })
      await assert.rejects(wrong, { code: 'NETMEM_OUT_OF_RANGE' })
      assert.equal(existsSync(socket), false)
      await noneOpenSince(before)
    })
  })
})
