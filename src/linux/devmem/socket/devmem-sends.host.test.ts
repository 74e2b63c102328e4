// Sends out of device memory over a kernel that is played: order, completions and refusals.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf } from '../../../testing/fails-with.test.helper.ts'
import { turns } from '../../../testing/waiting.test.helper.ts'
import { PAGE, setUp } from './played-connection.test.helper.ts'

test('device sends keep their place, and resolve when the peer has confirmed them', async () => {
  const { binding, io, connection } = setUp()
  io.sendRoom = 5000
  const done: string[] = []
  const note = (what: string) => (): void => void done.push(what)
  const all = [
    connection.write('head').then(note('head')),
    connection.sendDevice(binding, 100, 6000).then(note('device')),
    connection.write('tail').then(note('tail')),
    connection.end().then(note('end')),
  ]
  await turns()
  assert.deepEqual(done, ['head'])
  io.makeRoom(100_000)
  await turns()
  assert.deepEqual(io.events, ['send 4', 'device 100+4996', 'device 5096+1004', 'send 4', 'end'])
  assert.deepEqual(done, ['head', 'tail', 'end'])
  io.confirm(1)
  await turns()
  assert.equal(done.length, 3)
  io.confirm(1)
  await Promise.all(all)
  assert.equal(done[3], 'device')
  assert.equal(connection.stats().completions, 2)
  assert.equal(connection.bytesWritten, 6008)
  connection.destroy()
})

test('ENOBUFS waits for completions, and the send continues', async () => {
  const { binding, io, connection } = setUp()
  io.sendLimit = 2
  const sent = connection.sendDevice(binding, 0, 5 * 2 ** 20)
  await turns()
  assert.equal(io.sends.length, 2)
  io.confirm(2)
  await turns()
  assert.equal(io.sends.length, 4)
  io.confirm(1)
  await turns()
  assert.equal(io.sends.length, 5)
  io.confirm(2)
  await sent
  io.sendLimit = 0
  assert.equal(await codeOf(connection.sendDevice(binding, 0, 1)), 'NETMEM_DEVMEM_SEND_LIMIT')
})

test('every refusal of sendmsg has its code, and fails what waits behind it', async () => {
  for (const [id, code] of [
    [404, 'NETMEM_DEVMEM_NOT_SENDABLE'],
    [19, 'NETMEM_DEVMEM_ROUTE'],
  ] as const) {
    const { io, connection } = setUp()
    io.sendRoom = 0
    const first = connection.write('x')
    const refused = codeOf(connection.sendDevice({ id, ifindex: 2, queues: [] }, 0, 10))
    const behind = codeOf(connection.end())
    await turns()
    io.makeRoom(1000)
    await first
    assert.deepEqual(await Promise.all([refused, behind]), [code, code])
    assert.ok(io.closed && io.events.includes('reset'))
  }
})

test('a connection that is destroyed fails its sends, confirmed or not', async () => {
  const { binding, connection } = setUp()
  const sent = codeOf(connection.sendDevice(binding, 0, PAGE))
  connection.destroy()
  assert.equal(await sent, 'NETMEM_CONNECTION_CLOSED')
  assert.equal(await codeOf(connection.sendDevice(binding, 0, 1)), 'NETMEM_CONNECTION_CLOSED')
})
