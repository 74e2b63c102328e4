// The kernel's own TCP into pages, by a NIC on a TAP interface, whose thread sleeps in poll(2).
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { createPool, sharedProvider } from '../../index.ts'
import { bytesOf } from '../../netmem.ts'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { until } from '../../testing/waiting.test.helper.ts'
import { buildTcpFrame } from '../../wire/build-frame.test.helper.ts'
import { createFrameMemory } from '../../wire/frame-memory.ts'
import { ACK, FIN, SYN } from '../../wire/tcp.ts'
import { type DeviceThread, openDeviceThread } from '../host/device/device-thread.ts'
import { WorkerTransport } from '../host/device/worker-transport.ts'
import { openPageDriver } from '../host/driver/page-driver.ts'
import { FlowTable } from '../host/flow/flow-table.ts'
import { Reassembler } from '../host/flow/reassembler.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { createPageSkbCache } from '../host/skb/skb-cache.ts'
import {
  configure,
  ip,
  KERNEL,
  macOf,
  namespaced,
  PEER,
  PEER_MAC,
  skip,
} from '../link/tap/tap.test.helper.ts'

const BYTES = 1_000_000
const data = Uint8Array.from({ length: BYTES }, (_, at) => (at * 31 + (at >> 9)) & 0xff)

/** Waits until the device's thread sleeps in poll(2). */
async function untilPolling({ doorbell }: DeviceThread): Promise<void> {
  const words = new Int32Array(doorbell)
  await until(() => Atomics.load(words, 1) === 2, 'the device sleeps in poll(2)')
}

describe('a NIC on a TAP interface', { skip }, () => {
  for (const offload of [true, false]) {
    it(`receives the kernel's TCP into pages, and sends to it (offload: ${offload})`, async () => {
      await namespaced(async () => {
        // The peer below knows no other options.
        for (const name of ['tcp_timestamps', 'tcp_sack', 'tcp_window_scaling']) {
          writeFileSync(`/proc/sys/net/ipv4/${name}`, '0')
        }
        const before = openDescriptors()
        const device = await openDeviceThread()
        const nic = await device.openNic({ link: { kind: 'tap', name: 'tap%d', offload } })
        assert.deepEqual(nic.tap, { name: 'tap0', mtu: 1500, offloadRefusal: undefined })
        configure('tap0')
        await untilPolling(device)
        const headerPool = createPool(sharedProvider({ pages: 64, pageSize: 4096 }))
        const pool = createPool(sharedProvider({ pages: 512, pageSize: 4096 }))
        const skbs = createPageSkbCache(headerPool, 256)
        const memory = createFrameMemory(2000)
        const addresses = {
          sourceMac: PEER_MAC,
          destinationMac: macOf('tap0'),
          source: PEER,
          destination: KERNEL,
          sourcePort: 5001,
        }
        const received = new Uint8Array(BYTES)
        let bytes = 0
        let largest = 0
        const take = (skb: AnySkb): void => {
          assert.ok(skb.kind === 'page')
          const put = (from: Uint8Array): void => {
            received.set(from, bytes)
            bytes += from.length
          }
          put(skb.head.subarray(skb.payloadOffset, skb.headLength))
          for (let at = 0; at < skb.fragCount; at++) {
            const page = skb.frags[at]
            const offset = skb.offsets[at] ?? 0
            if (page !== undefined)
              put(bytesOf(page).subarray(offset, offset + (skb.lengths[at] ?? 0)))
          }
          skb.free()
        }
        const stream = new Reassembler(take)
        const flows = new FlowTable(() => stream)
        const driver = await openPageDriver(nic, {
          headerPool,
          pools: [pool],
          ringSize: 256,
          // Keeps the kernel's large frames whole: the NIC makes segments of them otherwise.
          coalesce: offload,
          deliver: (skb) => {
            const flow = flows.demux(skb)
            const { layout } = flows
            if (flow === undefined || layout.destinationPort !== 5001) {
              skb.free()
              return
            }
            largest = Math.max(largest, layout.payloadLength)
            const isSyn = (layout.tcpFlags & SYN) !== 0
            const length = layout.payloadLength + (isSyn || (layout.tcpFlags & FIN) !== 0 ? 1 : 0)
            const ack = (layout.seq + length) | 0
            flow.receive(skb, layout)
            if (length === 0) return
            const answer = skbs.take()
            const frame = {
              ...addresses,
              destinationPort: layout.sourcePort,
              seq: isSyn ? 1000 : 1001,
              ack,
              flags: isSyn ? SYN | ACK : ACK,
              ...(isSyn ? { mssBytes: 1460 } : {}),
            }
            answer.headLength = buildTcpFrame(frame, memory, 0)
            answer.head.set(memory.bytes.subarray(0, answer.headLength))
            if (!driver.transmit(answer)) answer.free()
          },
        })
        driver.run()
        const socket = connect(5001, PEER)
        socket.end(data)
        await until(() => bytes === BYTES, 'all bytes have arrived')
        assert.deepEqual(received, data)
        assert.equal(largest > 1460, offload)
        const { device: stats } = nic.stats()
        assert.deepEqual([stats.rx_csum_bad, stats.tx_hw_drops], [0, 0])
        assert.ok(stats.tx_packets > 0)
        socket.destroy()
        await untilPolling(device)
        assert.equal((await nic.rssTable()).length, 128)
        await driver.close()
        await device.close()
        await noneOpenSince(before)
        assert.equal(pool.out + headerPool.out, 0)
      })
    })
  }

  it('ends with its interface, and tells why', async () => {
    await namespaced(async () => {
      await using device = await openDeviceThread()
      device.ref()
      const nic = await device.openNic({ link: { kind: 'tap', name: 'tap0' } })
      await untilPolling(device)
      ip('link', 'delete', 'tap0')
      const reason = await nic.ended
      assert.deepEqual([reason?.code, reason?.errno], ['NETMEM_TAP_GONE', 'ENODEV'])
      const again = await device.openNic({ link: { kind: 'tap', name: 'tap0' } })
      await again.close()
      const taken = device.openNic({ link: { kind: 'tap', name: 'lo' } })
      await assert.rejects(taken, { code: 'NETMEM_TAP_NAME_TAKEN', errno: 'EBUSY' })
    })
  })

  it('leaves the thread asleep while its link is down', async () => {
    await namespaced(async () => {
      await using device = await openDeviceThread()
      const nic = await device.openNic({ link: { kind: 'tap', name: 'tap0' }, up: false })
      configure('tap0')
      // The thread sleeps on a word of the doorbell: frames of a link that is down do not wake it.
      const words = new Int32Array(device.doorbell)
      await until(() => Atomics.load(words, 1) === 1)
      await nic.up()
      await untilPolling(device)
    })
  })

  it('is refused on a stepped device', async () => {
    await using device = await openDeviceThread({ stepped: true })
    const opened = device.openNic({ link: { kind: 'tap', name: 'tap0' } })
    await assert.rejects(opened, { code: 'NETMEM_NIC_CONFIG', errno: 'EOPNOTSUPP' })
  })

  it('is ended in its sleep', async () => {
    await namespaced(async () => {
      const before = openDescriptors()
      const device = await openDeviceThread()
      await device.openNic({ link: { kind: 'tap', name: 'tap0' } })
      await untilPolling(device)
      assert.ok(device.transport instanceof WorkerTransport)
      await device.transport.terminate()
      await device.close()
      await noneOpenSince(before)
      assert.throws(() => ip('link', 'show', 'tap0'), /does not exist/)
    })
  })

  for (const end of ['', 'process.exit()']) {
    it(`holds up no end of its process (${end === '' ? 'by itself' : end})`, async () => {
      await namespaced(async () => {
        const thread = new URL('../host/device/device-thread.js', import.meta.url)
        const program = `
          import { openDeviceThread } from ${JSON.stringify(thread.href)}
          const device = await openDeviceThread()
          await device.openNic({ link: { kind: 'tap', name: 'tap0' } })
          const words = new Int32Array(device.doorbell)
          while (Atomics.load(words, 1) !== 2);
          console.log('asleep')
          ${end}`
        const options = ['--input-type=module', '--eval', program]
        const child = spawn(process.execPath, options, { stdio: ['ignore', 'pipe', 'inherit'] })
        let output = ''
        child.stdout.on('data', (text) => {
          output += text
        })
        const [status] = await once(child, 'close')
        assert.deepEqual([status, output], [0, 'asleep\n'])
      })
    })
  }
})
