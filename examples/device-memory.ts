/**
 * Device memory TCP without the hardware: a flow arrives in pages, then a rule steers it to a queue
 * that is bound to device memory. Nothing here can read the bytes that land there. The device hashes
 * them. The device is stepped, so that every run is the same.
 */

import { createPool, dualPool, sharedProvider } from 'netmem'
import {
  bindRx,
  DevmemSocket,
  FlowTable,
  openDeviceThread,
  openNetmemDriver,
  Reassembler,
  receiveFrags,
} from 'netmem/stack'

await using device = await openDeviceThread({ stepped: true })
// One flow of 64 KiB, from 10.0.0.1:40000 to 10.0.0.2:5001.
const link = { kind: 'generator', totalBytes: 65_536, handshake: true } as const
const nic = await device.openNic({ queues: 2, link })
await nic.setRssTable(new Array<number>(128).fill(0)) // nothing comes to queue 1 by chance

const socket = new DevmemSocket()
const stream = new Reassembler((skb) => void socket.queue(skb))
const flows = new FlowTable(() => stream)
const headerPool = createPool(sharedProvider({ pages: 16, pageSize: 4096 }))
const pools = [0, 1].map(() => dualPool(sharedProvider({ pages: 64, pageSize: 4096 })))
const driver = await openNetmemDriver(nic, {
  headerPool,
  pools,
  ringSize: 64,
  deliver: (skb) => {
    const flow = flows.demux(skb)
    if (flow === undefined) skb.free()
    else flow.receive(skb, flows.layout)
    if (flow?.state === 'finished') socket.fin()
  },
})

const memory = await device.openMemory(2 ** 20)
const dmabuf = await memory.exportDmaBuf({ bytes: 2 ** 20 })
const binding = await bindRx(driver, { dmabuf, queues: [1] })

await device.run(0, 20) // frames
driver.poll()
const destinationAddress = Uint8Array.of(10, 0, 0, 2)
await nic.addRule({ protocol: 'tcp', destinationAddress, destinationPort: 5001, queue: 1 })
await device.run(0)
driver.poll()

const hash = await device.openHash()
const bytes = { page: 0, net_iov: 0 }
for await (const frag of receiveFrags(socket)) {
  bytes[frag.kind] += frag.length
  if (frag.kind === 'page') await hash.updateBytes(frag.bytes)
  else await hash.update(dmabuf, [frag]) // there is no frag.bytes here
  frag.release()
}
console.log(`${bytes.page} bytes in pages, ${bytes.net_iov} in device memory`)
console.log(`sha256 ${await hash.digest()}`)

socket.close() // the tokens go back with it
await binding.close()
await binding.released() // every net_iov has come back, the dma-buf is unmapped
await driver.close()
console.log(`${pools.reduce((sum, pool) => sum + pool.out, headerPool.out)} pages out`)
