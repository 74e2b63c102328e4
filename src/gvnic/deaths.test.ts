// Ends without a goodbye: a machine that is killed while it transfers, and cards that are.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { noneOpenSince, openDescriptors } from '../testing/descriptors.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { openWiredCards } from './open-wired-cards.ts'
import { connectDriver } from './served-card.test.helper.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const folder = mkdtempSync(join(tmpdir(), 'netmem-deaths-'))
after(() => rmSync(folder, { recursive: true }))
const sockets = [join(folder, 'a.sock'), join(folder, 'b.sock')] as const

const at = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href)

/** A machine that sends without an end, on both cards. */
const SENDER = `
const { connectDriver } = await import(${at('./served-card.test.helper.js')})
const ends = ${JSON.stringify(sockets)}.map((path) => connectDriver(path).driver)
for (const driver of ends) { driver.probe(); driver.open({ queues: 1 }) }
const pieces = ends.map(({ memory }) => [{ address: memory.allocate(1400), bytes: 1400 }])
for (;;) for (const [index, driver] of ends.entries()) {
  driver.sendPieces(0, pieces[index])
  driver.poll()
}`

/** Cards in a process of their own. */
const CARDS = `
const { openWiredCards } = await import(${at('./open-wired-cards.js')})
await openWiredCards({ sockets: ${JSON.stringify(sockets)} })
console.log('open')`

function started(script: string): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
}

/** Has a frame pass from one card to the other, with drivers that are new. */
async function transfer(): Promise<void> {
  using left = connectDriver(sockets[0])
  using right = connectDriver(sockets[1])
  for (const { driver } of [left, right]) {
    driver.probe()
    driver.open({ queues: 1 })
  }
  const sent = frame({ payload: pattern(1000), sourcePort: 4711 })
  assert.notEqual(left.driver.send(0, sent), -1)
  for (;;) {
    // Frames of the machine before may still have been on the wire.
    if (right.driver.poll().some(({ payload }) => Buffer.compare(payload, sent) === 0)) return
    await turns(1)
  }
}

describe('deaths', { skip }, () => {
  it('of machines that transfer leave cards for the next ones, and nothing open', async () => {
    await using cards = await openWiredCards({ sockets })
    await transfer()
    const all = async (isDone: (packets: number, connected: boolean) => boolean) => {
      for (;;) {
        const looks = await cards.look()
        if (looks.every(({ stats, connected }) => isDone(stats.device.rx_packets, connected)))
          return
      }
    }
    await all((_, connected) => !connected)
    const before = openDescriptors()
    for (let round = 0; round < 2; round++) {
      const machine = started(SENDER)
      const had = (await cards.look()).map(({ stats }) => stats.device.rx_packets)
      await all((packets) => packets > Math.max(...had) + 100)
      await killed(machine)
      await all((_, connected) => !connected)
    }
    await transfer()
    await all((_, connected) => !connected)
    await noneOpenSince(before)
  })

  it('of cards end their machines’ connections, and cards at the same places serve the next ones', async () => {
    const dead = started(CARDS)
    assert.ok(dead.stdout !== null)
    await once(dead.stdout, 'data')
    {
      using machine = connectDriver(sockets[0])
      machine.driver.probe()
      machine.driver.open({ queues: 1 })
      await killed(dead)
      assert.throws(() => machine.driver.admin.linkUp, /ended the connection|EPIPE|ECONNRESET/)
    }
    // The dead process's sockets are still there, and no process listens.
    assert.deepEqual(sockets.map(existsSync), [true, true])
    await using _cards = await openWiredCards({ sockets })
    await transfer()
  })
})
