// Cards on a TAP interface and on captures, with the driver model behind their socket.
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { isNetmemError } from '../errors.ts'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { openCapture } from '../stack/link/capture/open-capture.ts'
import { writePcapng } from '../stack/link/capture/pcapng-writer.ts'
import { Fate } from '../stack/link/fate.ts'
import { emptyFrame, type Link, ORDINARY_FRAMES } from '../stack/link/link.ts'
import {
  configure,
  ip,
  KERNEL,
  macOf,
  namespaced,
  PEER,
  PEER_MAC,
  skip as skipTap,
  TcpPeer,
} from '../stack/link/tap/tap.test.helper.ts'
import { tapDevice } from '../stack/link/tap/tap-link.ts'
import { noneOpenSince, openDescriptors } from '../testing/descriptors.test.helper.ts'
import { turns, until } from '../testing/waiting.test.helper.ts'
import { buildUdpFrame } from '../wire/build-frame.test.helper.ts'
import { FrameLayout, parseFrame } from '../wire/frame-layout.ts'
import { createFrameMemory } from '../wire/frame-memory.ts'
import { openCard } from './open-card.ts'
import { openWiredCards } from './open-wired-cards.ts'
import { connectDriver } from './served-card.test.helper.ts'
import type { DriverModel } from './testing/driver-model.ts'
import type { ReceivedPacket } from './testing/driver-rx.ts'

const folder = mkdtempSync(join(tmpdir(), 'netmem-card-'))
after(() => rmSync(folder, { recursive: true }))
const socket = join(folder, 'card.sock')
const tap = { kind: 'tap', name: 'tap0' } as const

/** Calls `pump` between turns of the event loop until `done`. */
async function pumping(pump: () => void, done: () => boolean): Promise<void> {
  while (!done()) {
    pump()
    await turns(1)
  }
}

/** Collects packets until there are `count`. */
async function received(driver: DriverModel, count: number): Promise<ReceivedPacket[]> {
  const packets: ReceivedPacket[] = []
  await pumping(
    () => packets.push(...driver.poll()),
    () => packets.length >= count,
  )
  return packets
}

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
  }
}

function udp(payload: Uint8Array, destinationPort: number): Uint8Array {
  const memory = createFrameMemory(2000)
  const fields = { sourceMac: PEER_MAC, destinationMac: macOf('tap0'), source: PEER }
  const ports = { destination: KERNEL, sourcePort: 5001, destinationPort }
  return memory.bytes.slice(0, buildUdpFrame({ ...fields, ...ports, payload }, memory, 0))
}

describe('a card on a TAP interface', { skip: skipTap }, () => {
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
        const pump = (): void => peer.pump()
        const client = connect(5001, PEER)
        let opened = false
        client.once('connect', () => {
          opened = true
        })
        await pumping(pump, () => opened)
        const data = pattern(200_000)
        const chunks: Uint8Array[] = []
        client.on('data', (chunk) => void chunks.push(chunk))
        client.write(data)
        const bytesOf = (some: readonly Uint8Array[]): number =>
          some.reduce((sum, { length }) => sum + length, 0)
        await pumping(pump, () => bytesOf(peer.received) === data.length)
        assert.deepEqual(new Uint8Array(Buffer.concat(peer.received)), data)
        assert.ok(peer.arrived.some(({ segmentBytes }) => segmentBytes === 1460))
        const back = pattern(20 * 1460, 1)
        peer.send(back, 1460)
        await pumping(pump, () => bytesOf(chunks) === back.length)
        assert.deepEqual(new Uint8Array(Buffer.concat(chunks)), back)
        client.end()
        await pumping(pump, () => peer.finished)
        client.destroy()
        await once(client, 'close')
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
        using _taken = tapDevice({ name: 'tap0' })
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

describe('a card on a capture', {
  skip: process.platform === 'linux' ? false : 'needs Linux',
}, () => {
  const path = join(folder, 'played.pcapng')
  const frames = [pattern(10), pattern(200), pattern(1400)].map((payload) => frame({ payload }))

  function record(file: string, gapNs: number): void {
    using writer = writePcapng(file)
    const memory = createFrameMemory(2000)
    for (const [at, bytes] of frames.entries()) {
      memory.bytes.set(bytes)
      const one = emptyFrame(memory)
      one.length = one.originalLength = bytes.length
      one.timeNs = at * gapNs
      writer.write(one)
    }
  }

  it('receives its frames in order, once the guest’s interface is up', async () => {
    record(path, 2e6)
    await using card = await openCard({ socket, link: { kind: 'capture', path } })
    using served = connectDriver(socket)
    const { driver } = served
    driver.probe()
    assert.deepEqual((await card.look())[0]?.link, { kind: 'capture', path, ended: false })
    driver.open({ queues: 1 })
    const packets = await received(driver, frames.length)
    assert.deepEqual(
      packets.map(({ payload }) => payload),
      frames,
    )
    // What is sent goes nowhere, and completes.
    driver.send(0, frames[0] ?? new Uint8Array())
    await pumping(
      () => driver.poll(),
      () => driver.tx[0]?.completed === 1,
    )
    assert.deepEqual((await card.look())[0]?.link, { kind: 'capture', path, ended: true })
  })

  it('loses a part of them by its seed', async () => {
    record(path, 0)
    const faults = { seed: 5, loss: 0.5 }
    const fate = new Fate(faults)
    const memory = createFrameMemory(1)
    const kept = frames.filter(() => {
      fate.draw(emptyFrame(memory))
      return !fate.lost
    })
    assert.ok(kept.length > 0 && kept.length < frames.length)
    await using _card = await openCard({ socket, link: { kind: 'capture', path }, ...faults })
    using served = connectDriver(socket)
    served.driver.probe()
    served.driver.open({ queues: 1 })
    const packets = await received(served.driver, kept.length)
    assert.deepEqual(
      packets.map(({ payload }) => payload),
      kept,
    )
  })

  it('refuses files that are no captures, and its own', async () => {
    const missing = { kind: 'capture', path: join(folder, 'missing') } as const
    await assert.rejects(openCard({ socket, link: missing }), { code: 'ENOENT' })
    const noCapture = { kind: 'capture', path: process.execPath } as const
    await assert.rejects(openCard({ socket, link: noCapture }), { code: 'NETMEM_CAPTURE_INVALID' })
    record(path, 0)
    const own = openCard({ socket, link: { kind: 'capture', path }, capture: path })
    await assert.rejects(own, { code: 'NETMEM_INVALID_ARGUMENT' })
    const nowhere = join(folder, 'no', 'file')
    const written = openCard({ socket, link: { kind: 'capture', path }, capture: nowhere })
    await assert.rejects(written, { code: 'ENOENT' })
    for (const link of [
      undefined,
      { kind: 'pair' },
      { kind: 'tap' },
      { kind: 'tap', name: 'a', x: 1 },
    ]) {
      const refused = openCard({ socket, link } as never)
      await assert.rejects(refused, { code: 'NETMEM_INVALID_ARGUMENT' }, JSON.stringify(link))
    }
    const nowhereElse = openCard({ socket: '', link: { kind: 'capture', path } })
    await assert.rejects(nowhereElse, { code: 'NETMEM_INVALID_ARGUMENT' })
    assert.equal(existsSync(socket), false)
  })

  it('is what the first of two cards has sent and received', async () => {
    const sockets = [socket, join(folder, 'other.sock')]
    const written = join(folder, 'written.pcapng')
    {
      await using _cards = await openWiredCards({ sockets, queues: 1, capture: written })
      using first = connectDriver(sockets[0] ?? '')
      using second = connectDriver(sockets[1] ?? '')
      for (const { driver } of [first, second]) {
        driver.probe()
        driver.open()
      }
      const [one, two, three] = frames
      assert.ok(one !== undefined && two !== undefined && three !== undefined)
      first.driver.send(0, one)
      assert.deepEqual((await received(second.driver, 1))[0]?.payload, one)
      second.driver.send(0, two)
      assert.deepEqual((await received(first.driver, 1))[0]?.payload, two)
      first.driver.send(0, three)
      await received(second.driver, 1)
    }
    using capture = openCapture(written)
    assert.deepEqual(capture.features, ORDINARY_FRAMES)
    const seen: Uint8Array[] = []
    for (let next = capture.receive(0); next !== undefined; next = capture.receive(0)) {
      seen.push(next.memory.bytes.slice(next.offset, next.offset + next.length))
    }
    assert.deepEqual(seen, frames)
    assert.equal(capture.truncated, false)
  })
})
