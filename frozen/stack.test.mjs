// The user-space stack: device thread, NIC, drivers, binding, socket, frags.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { createPool, dualPool, hostProvider, sharedProvider } from 'netmem'
import {
  bindRx,
  DevmemSocket,
  FlowTable,
  openDeviceThread,
  Reassembler,
  receiveFrags,
} from 'netmem/stack'
import { rejected, until } from './harness.mjs'
import {
  closeBinding,
  closeMemory,
  INJECTED,
  openMemory,
  openNetmemDriver,
  openNic,
  openPageDriver,
  RX_DROPS,
  segmentsOf,
} from './names.mjs'

const PAGE = 4096
const BYTES = 100_000
const MSS = 1448
const shared = (pages) => sharedProvider({ pages, pageSize: PAGE })
const generator = { kind: 'generator', totalBytes: BYTES, ...segmentsOf(MSS), handshake: true }

/**
 * Opens a device with a NIC and a driver, whose packets go to one socket in order. Runs `body`, and
 * ends everything: nothing may be out.
 */
async function withPath({ kind, bound = [], queues = 1, link = generator, stepped = true }, body) {
  const device = await openDeviceThread({ stepped })
  const settings = stepped ? {} : { settings: { pause: true } }
  const nic = await openNic(device, { queues, link, up: false, ...settings })
  const socket = new DevmemSocket()
  const stream = new Reassembler((skb) => void socket.queue(skb))
  const flows = new FlowTable(() => stream)
  const make = kind === 'page' ? createPool : dualPool
  const pools = Array.from({ length: queues }, () => make(shared(128)))
  const headerPool = createPool(shared(16))
  const packets = { page: 0, net_iov: 0 }
  const options = {
    headerPool,
    pools,
    ringSize: 64,
    deliver: (skb) => {
      packets[skb.kind]++
      const flow = flows.demux(skb)
      if (flow === undefined) skb.free()
      else flow.receive(skb, flows.layout)
      if (flow?.state === 'finished') socket.fin()
    },
  }
  const open = kind === 'page' ? openPageDriver : openNetmemDriver
  const driver = await open(nic, options)
  const memory = await openMemory(device, 2 ** 20)
  const dmabuf = await memory.exportDmaBuf({ bytes: 2 ** 19 })
  const binding = bound.length > 0 ? await bindRx(driver, { dmabuf, queues: bound }) : undefined
  await nic.up()
  await body({ device, nic, driver, socket, dmabuf, memory, packets, binding })
  stream.close()
  socket.close()
  await closeBinding(binding)
  await binding?.released()
  assert.equal(binding?.inflight ?? 0, 0)
  await driver.close()
  for (const pool of [headerPool, ...pools]) {
    assert.equal(pool.out, 0, 'nothing is out')
    await pool.destroy()
  }
  await nic.close()
  await closeMemory(memory)
  await device.close()
}

/** Steps the device and polls until everything has arrived. Returns all frags. */
async function through({ device, driver, socket }) {
  const frags = []
  const receiver = receiveFrags(socket)
  for (let more = true; more; ) {
    more = (await device.run(0, 32)) > 0
    while (driver.poll() > 0);
    for (let frag = receiver.take(); frag !== undefined; frag = receiver.take()) frags.push(frag)
  }
  return frags
}

async function hashed({ device, dmabuf }, frags) {
  const hash = await device.openHash()
  for (const frag of frags) {
    if (frag.kind === 'page') await hash.updateBytes(frag.bytes)
    else await hash.update(dmabuf, [{ offset: frag.offset, length: frag.length }])
    frag.release()
  }
  return hash.digest()
}

let digest
const paths = [
  ['page driver', { kind: 'page' }, 'page'],
  ['netmem driver, pages', { kind: 'netmem' }, 'page'],
  ['netmem driver, device memory', { kind: 'netmem', bound: [0] }, 'net_iov'],
]
for (const [name, options, memory] of paths) {
  test(`a flow of ${BYTES} bytes, stepped: ${name}`, () =>
    withPath(options, async (path) => {
      const frags = await through(path)
      assert.equal(
        frags.reduce((sum, { length }) => sum + length, 0),
        BYTES,
      )
      assert.ok(frags.every(({ kind }) => kind === memory))
      if (memory === 'net_iov') {
        assert.ok(frags.every(({ binding, bytes }) => binding === path.binding && !bytes))
        assert.equal(new Set(frags.map(({ token }) => token)).size, frags.length)
        assert.equal(path.socket.stats().tokens, frags.length)
      }
      const { device } = await path.nic.stats()
      assert.equal(device.rx_packets, Math.ceil(BYTES / MSS) + 2)
      assert.equal(device[RX_DROPS], 0)
      const sum = await hashed(path, frags)
      digest ??= sum
      assert.equal(sum, digest)
    }))

  test(`a flow by itself: ${name}`, () =>
    withPath({ ...options, stepped: false }, async (path) => {
      path.device.ref()
      path.driver.run()
      let bytes = 0
      for await (const frag of receiveFrags(path.socket)) {
        bytes += frag.length
        frag.release()
      }
      assert.equal(bytes, BYTES)
      path.device.unref()
    }))
}

test('steering sends a flow to the queue that is bound', () =>
  withPath({ kind: 'netmem', queues: 2, bound: [1] }, async (path) => {
    await path.nic.setRssTable(new Array(128).fill(0))
    await path.device.run(0, 20)
    while (path.driver.poll() > 0);
    assert.equal(path.packets.net_iov, 0)
    const destinationAddress = Uint8Array.of(10, 0, 0, 2)
    await path.nic.addRule({ protocol: 'tcp', destinationAddress, destinationPort: 5001, queue: 1 })
    const frags = await through(path)
    assert.ok(path.packets.net_iov > 0)
    const kinds = frags.map(({ kind }) => kind)
    assert.deepEqual([kinds[0], kinds.at(-1)], ['page', 'net_iov'])
    const sum = await hashed(path, frags)
    assert.equal(sum, digest ?? sum)
  }))

test('frags outlive their binding and their socket keeps the tokens', () =>
  withPath({ kind: 'netmem', bound: [0] }, async ({ device, driver, socket, binding }) => {
    await device.run(0, 10)
    while (driver.poll() > 0);
    const receiver = receiveFrags(socket)
    const frag = receiver.take()
    assert.equal(frag.kind, 'net_iov')
    await closeBinding(binding)
    let released = false
    const done = binding.released().then(() => {
      released = true
    })
    assert.ok(binding.inflight > 0)
    assert.equal(released, false)
    frag.release()
    for (let next = receiver.take(); next !== undefined; next = receiver.take()) next.release()
    receiver.flush()
    await done
  }))

test('device memory: write, read, hash, and ranges that are not there', async () => {
  const device = await openDeviceThread()
  const memory = await openMemory(device, 2 ** 16)
  const dmabuf = await memory.exportDmaBuf({ bytes: 8192 })
  const bytes = Uint8Array.from({ length: 100 }, (_, at) => at)
  await device.write(dmabuf, 50, bytes)
  assert.deepEqual(await device.read(dmabuf, 50, 100), bytes)
  const expected = createHash('sha256').update(bytes).digest('hex')
  assert.equal(await device.hash(dmabuf, [{ offset: 50, length: 100 }]), expected)
  assert.equal(await device.hash(dmabuf, Float64Array.of(50, 60, 110, 40)), expected)
  assert.equal(await rejected(device.read(dmabuf, 8000, 200)), 'NETMEM_DMA_FAULT')
  assert.equal(await rejected(openMemory(device, 0)), 'NETMEM_OUT_OF_RANGE')
  await dmabuf.close()
  await closeMemory(memory)
  await device.close()
  assert.equal(await rejected(openMemory(device, 4096)), 'NETMEM_DEVICE_CLOSED')
})

const refusals = [
  ['a queue that does not run', { queues: [1] }, {}, 'NETMEM_BIND_QUEUE'],
  ['a queue named twice', { queues: [0, 0] }, {}, 'NETMEM_BIND_QUEUE'],
  ['no header split', { queues: [0] }, { split: 'off' }, 'NETMEM_BIND_HEADER_SPLIT'],
  ['an odd size', { queues: [0], bytes: 4096 + 512 }, {}, 'NETMEM_DMABUF_UNALIGNED'],
]
for (const [name, { queues, bytes = 2 ** 18 }, settings, code] of refusals) {
  test(`bindRx refuses ${name}`, async () => {
    const device = await openDeviceThread()
    const nic = await openNic(device, { link: INJECTED })
    const pools = [dualPool(shared(64))]
    const headerPool = createPool(shared(16))
    const deliver = (skb) => skb.free()
    const driver = await openNetmemDriver(nic, {
      headerPool,
      pools,
      deliver,
      ringSize: 32,
      ...settings,
    })
    const dmabuf = await (await openMemory(device, 2 ** 19)).exportDmaBuf({ bytes })
    assert.equal(await rejected(async () => bindRx(driver, { dmabuf, queues })), code)
    await driver.close()
    await Promise.all([headerPool, ...pools].map((pool) => pool.destroy()))
    await device.close()
  })
}

test('bindRx refuses a driver of pages, and a queue that is bound', async () => {
  const device = await openDeviceThread()
  const [nic, other] = await Promise.all([0, 1].map(() => openNic(device, { link: INJECTED })))
  const dmabuf = await (await openMemory(device, 2 ** 19)).exportDmaBuf({ bytes: 2 ** 18 })
  const options = { headerPool: createPool(shared(16)), ringSize: 32, deliver: (skb) => skb.free() }
  const pages = await openPageDriver(nic, { ...options, pools: [createPool(shared(64))] })
  const queues = [0]
  assert.equal(
    await rejected(async () => bindRx(pages, { dmabuf, queues })),
    'NETMEM_BIND_UNSUPPORTED',
  )
  const netmem = await openNetmemDriver(other, { ...options, pools: [dualPool(shared(64))] })
  const binding = await bindRx(netmem, { dmabuf, queues })
  assert.equal(await rejected(async () => bindRx(netmem, { dmabuf, queues })), 'NETMEM_BIND_BUSY')
  assert.deepEqual([binding.queues, binding.id > 0], [[0], true])
  await closeBinding(binding)
  await binding.released()
  await Promise.all([pages.close(), netmem.close()])
  await device.close()
})

test('drivers refuse memory that threads cannot share', async () => {
  const device = await openDeviceThread()
  const nic = await openNic(device, { link: INJECTED })
  const pools = [createPool(hostProvider({ pages: 64, pageSize: PAGE }))]
  const options = { headerPool: createPool(shared(16)), pools, deliver: (skb) => skb.free() }
  assert.equal(await rejected(async () => openPageDriver(nic, options)), 'NETMEM_NOT_SHARED')
  await device.close()
})

test('frames over a wire, into the stack and out of it', () =>
  withPath({ kind: 'page', link: INJECTED }, async ({ device, nic, driver, packets }) => {
    const frame = new Uint8Array(60).fill(255, 0, 12)
    frame.set([8, 6], 12)
    assert.equal(await nic.inject([frame, frame]), 2)
    await until(async () => {
      await device.run(1e9)
      while (driver.poll() > 0);
      return packets.page === 2
    })
    const { device: counted } = await nic.stats()
    assert.equal(counted.rx_packets, 2)
  }))

test('a device that is closed fails its NIC and driver', async () => {
  const device = await openDeviceThread()
  const nic = await openNic(device, { link: INJECTED })
  await device.close()
  assert.equal((await nic.ended)?.code ?? 'NETMEM_DEVICE_CLOSED', 'NETMEM_DEVICE_CLOSED')
  const code = await rejected(async () => nic.rssTable())
  assert.ok(['NETMEM_DEVICE_CLOSED', 'NETMEM_NO_DEVICE'].includes(code), code)
})

test('an empty socket: would block, then ends', () => {
  const socket = new DevmemSocket()
  assert.equal(socket.readable, false)
  assert.throws(() => socket.recvmsg({ iov: [new Uint8Array(8)] }), { code: 'NETMEM_WOULD_BLOCK' })
  socket.fin()
  assert.equal(socket.recvmsg({ iov: [new Uint8Array(8)] }).bytes, 0)
  socket.close()
  assert.throws(() => socket.recvmsg({ iov: [new Uint8Array(8)] }), {
    code: 'NETMEM_SOCKET_CLOSED',
  })
})
