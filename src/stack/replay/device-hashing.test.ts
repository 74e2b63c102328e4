// Hashing device memory where it is: in order, also with other packets in between, and with nothing kept.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { setImmediate as nextRound } from 'node:timers/promises'
import type { NetIov } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import { dmaBufProvider } from '../../providers/dma-buf.ts'
import type { DmaBuf } from '../host/device/device-memory.ts'
import { type DeviceThread, openDeviceThread } from '../host/device/device-thread.ts'
import type { Skb } from '../host/skb/skb.ts'
import { createNetIovSkbCache } from '../host/skb/skb-cache.ts'
import { payloadOf } from './captures.test.helper.ts'
import { DeviceHashing } from './device-hashing.ts'

const PAGE = 4096
const PAGES = 16
const contents = payloadOf(0, PAGE * PAGES)

/** A dma-buf with contents, and skbs of its net_iovs. */
async function open(device: DeviceThread) {
  const memory = await device.openMemory(PAGE * PAGES)
  const dmabuf: DmaBuf = await memory.exportDmaBuf({ bytes: PAGE * PAGES })
  await device.write(dmabuf, 0, contents)
  const segments = [{ address: { region: 1, offset: 0 }, bytes: PAGE * PAGES }]
  const provider = dmaBufProvider({ id: 1, bytes: PAGE * PAGES, segments }, { pageSize: PAGE })
  const pool = createPool(provider)
  const cache = createNetIovSkbCache(pool, 256)
  /** Makes an skb of a net_iov's first `bytes` behind `linear` bytes. Returns it with all of its bytes. */
  const make = (
    bytes: number,
    linear: Uint8Array = new Uint8Array(0),
  ): [Skb<NetIov>, Uint8Array] => {
    const iov = pool.alloc()
    assert.ok(iov !== undefined)
    const skb = cache.take()
    skb.head.set(linear)
    skb.headLength = linear.length
    skb.addFrag(iov, 0, bytes)
    const at = provider.offset(iov)
    return [skb, Buffer.concat([linear, contents.subarray(at, at + bytes)])]
  }
  return { dmabuf, pool, make }
}

test('net_iovs and linear bytes are hashed in their order, and given back', async () => {
  await using device = await openDeviceThread()
  const { dmabuf, pool, make } = await open(device)
  const hashing = new DeviceHashing(device, dmabuf, 4)
  const hashes = [hashing.make(), hashing.make()]
  const expected = [createHash('sha256'), createHash('sha256')]
  for (let round = 0; round < 30; round++) {
    for (const [at, hash] of hashes.entries()) {
      const linear = round % 3 === 0 ? payloadOf(round, 40) : undefined
      const [skb, bytes] = make(100 + round, linear)
      hash.update(skb)
      expected[at]?.update(bytes)
    }
    // 16 net_iovs for 60 skbs: they do come back.
    while (pool.available < 2) {
      hashing.flush()
      await nextRound()
    }
  }
  for (const [at, hash] of hashes.entries()) {
    assert.equal(await hash.digest(), expected[at]?.digest('hex'))
  }
  assert.equal(hashing.busy, false)
  assert.equal(pool.out, 0)
  await pool.destroy()
})

test('without bytes it is the hash of nothing', async () => {
  await using device = await openDeviceThread()
  const { dmabuf, pool } = await open(device)
  const hashing = new DeviceHashing(device, dmabuf, 4)
  assert.equal(await hashing.make().digest(), createHash('sha256').digest('hex'))
  await pool.destroy()
})

test('what is abandoned, or cannot be hashed any more, is given back', async () => {
  await using device = await openDeviceThread()
  const { dmabuf, pool, make } = await open(device)
  const hashing = new DeviceHashing(device, dmabuf, 8)
  const hash = hashing.make()
  hash.update(make(100)[0])
  hashing.abandon()
  assert.equal(pool.out, 0)
  hash.update(make(100)[0])
  await device.close()
  await assert.rejects(hash.digest(), { code: 'NETMEM_DEVICE_CLOSED' })
  assert.throws(() => hashing.check(), { code: 'NETMEM_DEVICE_CLOSED' })
  assert.equal(pool.out, 0)
  await pool.destroy()
})
