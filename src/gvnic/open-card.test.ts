// Cards on captures, with the driver model behind their socket. Those on TAP interfaces are in
// open-card.tap.test.ts.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { createCaptureLink } from '../stack/link/capture/capture-link.ts'
import { createPcapngWriter } from '../stack/link/capture/pcapng-writer.ts'
import { Fate } from '../stack/link/fate.ts'
import { emptyFrame, ORDINARY_FRAMES } from '../stack/link/link.ts'
import { pumping } from '../testing/waiting.test.helper.ts'
import { createFrameMemory } from '../wire/frame-memory.ts'
import { openCard } from './open-card.ts'
import { openWiredCards } from './open-wired-cards.ts'
import { connectDriver, received } from './served-card.test.helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'netmem-card-'))
after(() => rmSync(folder, { recursive: true }))
const socket = join(folder, 'card.sock')

describe('a card on a capture', {
  skip: process.platform === 'linux' ? false : 'needs Linux',
}, () => {
  const path = join(folder, 'played.pcapng')
  const frames = [pattern(10), pattern(200), pattern(1400)].map((payload) => frame({ payload }))

  function record(file: string, gapNs: number): void {
    using writer = createPcapngWriter(file)
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
    // A sent frame goes nowhere, and completes.
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
    using capture = createCaptureLink(written)
    assert.deepEqual(capture.features, ORDINARY_FRAMES)
    const seen: Uint8Array[] = []
    for (let next = capture.receive(0); next !== undefined; next = capture.receive(0)) {
      seen.push(next.memory.bytes.slice(next.offset, next.offset + next.length))
    }
    assert.deepEqual(seen, frames)
    assert.equal(capture.truncated, false)
  })
})
