/** Bytes of device memory come out of the device's thread when they are read, and never else. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { serialize } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type {
  CallArguments,
  CallName,
  DeviceMessage,
  DeviceThreadData,
} from '../../rings/control.ts'
import { createDoorbell, ringDoorbell } from '../../rings/doorbell.ts'
import { createRxRings } from '../../rings/shared-rings.ts'
import { stubScript } from './device.test.helper.ts'
import { STUB_CONFIG } from './stub-nic.test.helper.ts'

const PAGE = 4096
const SECRET = Buffer.from('what only the device knows')

test('no message but the reply to a read carries bytes of device memory', async () => {
  const doorbell = createDoorbell()
  const workerData: DeviceThreadData = { doorbell, stepped: true }
  const worker = new Worker(stubScript, { workerData })
  const messages: DeviceMessage[] = []
  worker.on('message', (message: DeviceMessage) => messages.push(message))
  const ask = async <K extends CallName>(
    name: K,
    ...args: CallArguments<K>
  ): Promise<DeviceMessage> => {
    worker.postMessage({ id: messages.length, name, args })
    ringDoorbell(new Int32Array(doorbell))
    await once(worker, 'message')
    return messages.at(-1) ?? assert.fail()
  }
  // Every part of the memory is the secret, so that any byte too many would tell.
  const bytes = 16 * PAGE
  const data = Buffer.alloc(bytes, SECRET)
  const taken = new SharedArrayBuffer(4)
  const rings = createRxRings(4, undefined, doorbell)
  const host = new SharedArrayBuffer(PAGE)
  const link = { kind: 'injected' } as const
  await ask('memory-create', bytes)
  await ask('dmabuf-export', 1, { bytes, segments: [PAGE, bytes - PAGE] })
  await ask('dmabuf-write', 1, 0, data)
  const ringFaults = undefined
  await ask('nic-create', 1, { queues: 1, link, settings: {}, ringFaults, up: true, taken })
  // Shared memory is looked at itself, below.
  const created = messages.pop()
  assert.ok(created?.kind === 'reply' && typeof created.reply === 'object')
  assert.ok('counters' in created.reply)
  const { counters } = created.reply
  await ask('dmabuf-attach', 1, 1)
  await ask('host-map', host)
  await ask('nic-start-queue', 1, 0, rings, STUB_CONFIG)
  await ask('nic-inject', 1, [new Uint8Array(60)], 'complete')
  await ask('run', 1000)
  await ask('hash-open')
  await ask('hash-update', 1, 1, Float64Array.of(0, bytes))
  await ask('hash-digest', 1)
  await ask('dmabuf-read', 1, 0, bytes + 1)
  await ask('memory-free', 1)
  const failures = messages.filter(({ kind }) => kind === 'failure')
  assert.equal(failures.length, 2, 'the read of too much, and the free of what is attached')
  const fragment = SECRET.subarray(0, 8)
  for (const message of messages) assert.equal(serialize(message).includes(fragment), false)
  for (const shared of [host, rings.memory, taken, counters]) {
    assert.equal(Buffer.from(shared).includes(fragment), false)
  }
  const read = await ask('dmabuf-read', 1, PAGE, 100)
  assert.ok(serialize(read).includes(fragment))
  assert.ok(read.kind === 'reply' && read.reply instanceof Uint8Array)
  // A copy of what was asked for, and not a view of the rest.
  assert.equal(read.reply.buffer.byteLength, 100)
  // The worker's last message and its end may come in one turn.
  const exited = once(worker, 'exit')
  await ask('close')
  await exited
})
