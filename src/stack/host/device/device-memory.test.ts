import assert from 'node:assert/strict'
import { some } from '../../../testing/pools.test.helper.ts'
import { sha256 } from '../../../testing/sha256.test.helper.ts'
import { frameOf, onDevices, rejects } from './device.test.helper.ts'

const PAGE = 4096
const injected = { kind: 'injected' } as const

onDevices(
  'what is written to a dma-buf is read back, over scattered segments too',
  async (device) => {
    const memory = await device.openMemory(64 * PAGE)
    const plain = await memory.exportDmaBuf({ bytes: 4 * PAGE })
    const segments = [PAGE, 3 * PAGE, PAGE, 2 * PAGE]
    const scattered = await memory.exportDmaBuf({ bytes: 7 * PAGE, segments })
    assert.notEqual(plain.id, scattered.id)
    assert.deepEqual(await device.read(scattered, 0, 3), new Uint8Array(3))
    for (const dmabuf of [plain, scattered]) {
      // A view into larger memory, which the caller keeps.
      const bytes = frameOf(dmabuf.bytes + 20, dmabuf.id).subarray(10, 10 + dmabuf.bytes)
      await device.write(dmabuf, 0, bytes)
      assert.equal(bytes.length, dmabuf.bytes)
      for (const [offset, length] of [
        [0, dmabuf.bytes],
        [PAGE - 1, 2],
        [100, 3 * PAGE],
        [dmabuf.bytes, 0],
      ] as const) {
        const read = await device.read(dmabuf, offset, length)
        assert.deepEqual(read, bytes.slice(offset, offset + length))
      }
      const part = Uint8Array.of(1, 2, 3)
      await device.write(dmabuf, PAGE - 1, part)
      assert.deepEqual(await device.read(dmabuf, PAGE - 1, 3), part)
    }
    // The one is not the other.
    assert.equal((await device.read(plain, 0, 1))[0], frameOf(11, plain.id)[10])
    await memory.close()
  },
  true,
)

onDevices('it hashes ranges and streams where they lie', async (device) => {
  const memory = await device.openMemory(16 * PAGE)
  const dmabuf = await memory.exportDmaBuf({ bytes: 3 * PAGE, segments: [PAGE, PAGE, PAGE] })
  const bytes = frameOf(dmabuf.bytes, 5)
  await device.write(dmabuf, 0, bytes)
  const range = { offset: PAGE - 10, length: PAGE + 20 }
  assert.equal(
    await device.hash(dmabuf, [range, { offset: 0, length: 4 }]),
    sha256(bytes.subarray(PAGE - 10, 2 * PAGE + 10), bytes.subarray(0, 4)),
  )
  assert.equal(await device.hash(dmabuf, []), sha256())
  const one = await device.openHash()
  const other = await device.openHash()
  const updates = [
    one.update(dmabuf, Float64Array.of(0, 10, 5, 1)),
    one.updateBytes(bytes.subarray(7, 9)),
    other.update(dmabuf, [{ offset: 1, length: 1 }]),
    one.update(dmabuf, [{ offset: dmabuf.bytes - 1, length: 1 }]),
  ]
  // A range that is not there stops nothing, and is in no hash, nor what came with it.
  const missing = one.update(dmabuf, [
    { offset: 0, length: 1 },
    { offset: dmabuf.bytes, length: 1 },
  ])
  await rejects(missing, 'NETMEM_DMA_FAULT', 'EFAULT')
  await Promise.all(updates)
  const expected = sha256(bytes.slice(0, 10), bytes.slice(5, 6), bytes.slice(7, 9), bytes.slice(-1))
  assert.equal(await one.digest(), expected)
  await rejects(one.digest(), 'NETMEM_DMABUF_INVALID', 'EBADF')
  await other.close()
  await rejects(other.update(dmabuf, []), 'NETMEM_DMABUF_INVALID', 'EBADF')
  await rejects(device.hash(dmabuf, [{ offset: -1, length: 1 }]), 'NETMEM_DMA_FAULT', 'EFAULT')
  await memory.close()
})

onDevices('memory with attachments stays', async (device) => {
  const memory = await device.openMemory(16 * PAGE)
  const dmabuf = await memory.exportDmaBuf({ bytes: 4 * PAGE, segments: [3 * PAGE, PAGE] })
  const nics = await Promise.all([
    device.openNic({ link: injected }),
    device.openNic({ link: injected }),
  ])
  const attachments = await Promise.all(nics.map((nic) => dmabuf.attach(nic)))
  for (const { segments } of attachments) {
    assert.deepEqual(
      segments.map(({ bytes }) => bytes),
      [3 * PAGE, PAGE],
    )
  }
  const [one, other] = attachments
  await rejects(memory.close(), 'NETMEM_DMABUF_BUSY', 'EBUSY')
  await some(one).detach()
  await some(one).detach()
  await rejects(dmabuf.close(), 'NETMEM_DMABUF_BUSY', 'EBUSY')
  // A NIC that is taken away leaves its attachment to the caller that made it.
  await nics[1].close()
  await rejects(dmabuf.attach(nics[1]), 'NETMEM_NO_DEVICE', 'ENODEV')
  await rejects(memory.close(), 'NETMEM_DMABUF_BUSY', 'EBUSY')
  await some(other).detach()
  await memory.close()
  for (const call of [
    () => memory.close(),
    () => dmabuf.close(),
    () => dmabuf.attach(nics[0]),
    () => device.read(dmabuf, 0, 1),
    () => memory.exportDmaBuf({ bytes: 1 }),
  ]) {
    await rejects(call(), 'NETMEM_DMABUF_INVALID', 'EBADF')
  }
})

onDevices('what the device refuses arrives as the same error here', async (device) => {
  await rejects(device.openMemory(0), 'NETMEM_OUT_OF_RANGE')
  await rejects(device.openMemory(2 ** 31 + 1), 'NETMEM_OUT_OF_RANGE')
  const memory = await device.openMemory(4 * PAGE)
  const tooLong = memory.exportDmaBuf({ bytes: PAGE, segments: [PAGE, PAGE] })
  await rejects(tooLong, 'NETMEM_DMABUF_INVALID', 'EINVAL')
  const dmabuf = await memory.exportDmaBuf({ bytes: 4 * PAGE })
  await rejects(memory.exportDmaBuf({ bytes: 1 }), 'NETMEM_DEVICE_MEMORY', 'ENOMEM')
  for (const [offset, length] of [
    [-1, 1],
    [4 * PAGE, 1],
    [0, 4 * PAGE + 1],
    [0, 2 ** 40],
    [0.5, 1],
    [Number.NaN, 1],
  ] as const) {
    await rejects(device.read(dmabuf, offset, length), 'NETMEM_DMA_FAULT', 'EFAULT')
  }
  await rejects(device.write(dmabuf, 4 * PAGE - 1, frameOf(2, 0)), 'NETMEM_DMA_FAULT', 'EFAULT')
  await rejects(device.openNic({ link: injected, queues: 0 }), 'NETMEM_OUT_OF_RANGE')
  const link = { kind: 'toString' } as unknown as typeof injected
  await rejects(device.openNic({ link }), 'NETMEM_NIC_CONFIG', 'EOPNOTSUPP')
  const nic = await device.openNic({ link: injected })
  // A mistake in the NIC itself.
  await rejects(nic.removeRule(1), 'NETMEM_DEVICE_FAILED', 'EIO')
  await memory.close()
})

onDevices('host memory is mapped once for each buffer', async (device) => {
  const one = new SharedArrayBuffer(PAGE)
  const other = new SharedArrayBuffer(PAGE)
  const [first, again, second] = await Promise.all([one, one, other].map((b) => device.mapHost(b)))
  assert.equal(first, again)
  assert.notEqual(first, second)
  await device.unmap(some(first))
  await rejects(device.unmap(some(first)), 'NETMEM_DMA_FAULT', 'EFAULT')
  // Mapped anew, under a number that nothing late is addressed to.
  assert.notEqual(await device.mapHost(one), first)
  const memory = await device.openMemory(PAGE)
  const dmabuf = await memory.exportDmaBuf({ bytes: PAGE })
  const { segments } = await dmabuf.attach(await device.openNic({ link: injected }))
  // Device memory is not the stack's to unmap.
  const region = some(segments[0]).address.region
  await rejects(device.unmap(region), 'NETMEM_DMA_FAULT', 'EFAULT')
  const notShared = new ArrayBuffer(8) as unknown as SharedArrayBuffer
  await assert.rejects(device.mapHost(notShared), { code: 'NETMEM_INVALID_ARGUMENT' })
})

onDevices('everything with a lifetime ends with its scope, or before it', async (device) => {
  for (const early of [false, true]) {
    await using memory = await device.openMemory(4 * PAGE)
    await using dmabuf = await memory.exportDmaBuf({ bytes: 4 * PAGE })
    await using nic = await device.openNic({ link: injected })
    await using attached = await dmabuf.attach(nic)
    await using hash = await device.openHash()
    await using other = await device.openHash()
    if (!early) continue
    assert.match(await hash.digest(), /^e3b0c442/)
    await other.close()
    await attached.detach()
    await nic.close()
    await dmabuf.close()
    await memory.close()
  }
})
