// Every options object of the stack refuses a name that it does not have.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPool, dualPool } from '../pool/create-pool.ts'
import { sharedProvider } from '../providers/shared.ts'
import {
  bindRx,
  DevmemSocket,
  openDeviceThread,
  openNetmemDriver,
  openPageDriver,
  Reassembler,
  replay,
} from './index.ts'
import {
  createCaptureLink,
  createGenerator,
  createLinkPair,
  createPcapngWriter,
  faultyLink,
} from './link/index.ts'
import { faultyRxRing } from './rings/index.ts'

/** Options with a name that no object has, past the compiler. */
function withTypo(options: object = {}): never {
  return { ...options, nosuch: 1 } as never
}

const refusal = { code: 'NETMEM_INVALID_ARGUMENT', message: /no option "nosuch"/ }

test('makers refuse unknown options', () => {
  const calls: (() => unknown)[] = [
    () => new DevmemSocket(withTypo()),
    () => new Reassembler(() => {}, withTypo()),
    () => createGenerator(withTypo()),
    () => createLinkPair(withTypo()),
    () => faultyLink(createGenerator(), withTypo({ seed: 1 })),
    () => createCaptureLink('no file is opened', withTypo()),
    () => createPcapngWriter('no file is made', withTypo()),
    () => faultyRxRing(undefined as never, withTypo({ seed: 1 })),
  ]
  for (const call of calls) assert.throws(call, refusal)
})

test('devices, drivers, bindings and replays refuse unknown options', async () => {
  await assert.rejects(openDeviceThread(withTypo()), refusal)
  await assert.rejects(replay('no file is read', withTypo()), refusal)
  await using device = await openDeviceThread()
  const link = { kind: 'injected' } as const
  await assert.rejects(device.openNic(withTypo({ link })), refusal)
  await assert.rejects(device.openNic({ link, settings: withTypo() }), refusal)
  await assert.rejects(device.openNic({ link: withTypo(link) }), refusal)
  await assert.rejects(device.openNic({ link: withTypo({ kind: 'generator' }) }), refusal)
  await assert.rejects(
    device.openNic({ link: { ...link, faults: withTypo({ seed: 1 }) } }),
    refusal,
  )
  const memory = await device.openMemory(4096)
  await assert.rejects(memory.exportDmaBuf(withTypo({ bytes: 4096 })), refusal)
  const nic = await device.openNic({ link })
  await assert.rejects(nic.inject([], withTypo()), refusal)
  const layout = { pages: 64, pageSize: 4096 }
  const headerPool = createPool(sharedProvider(layout))
  const pools = [dualPool(sharedProvider(layout))]
  const options = { headerPool, pools, ringSize: 32, deliver: () => {} }
  await assert.rejects(openPageDriver(nic, withTypo(options)), refusal)
  await assert.rejects(openNetmemDriver(nic, withTypo(options)), refusal)
  const silent = { ...options, deliver: undefined as never }
  await assert.rejects(openNetmemDriver(nic, silent), {
    code: 'NETMEM_INVALID_ARGUMENT',
    message: /deliver/,
  })
  await using driver = await openNetmemDriver(nic, options)
  const dmabuf = await memory.exportDmaBuf({ bytes: 4096 })
  await assert.rejects(bindRx(driver, withTypo({ dmabuf, queues: [0] })), refusal)
})
