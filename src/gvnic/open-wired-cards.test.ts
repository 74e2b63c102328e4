import assert from 'node:assert/strict'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { noneOpenSince, openDescriptors } from '../testing/descriptors.test.helper.ts'
import { openWiredCards } from './open-wired-cards.ts'

const folder = mkdtempSync(join(tmpdir(), 'netmem-cards-'))
after(() => rmSync(folder, { recursive: true }))
const sockets = [join(folder, 'a.sock'), join(folder, 'b.sock')]

test('cards listen until they are closed, and leave nothing open', async () => {
  await (await openWiredCards({ sockets })).close()
  const before = openDescriptors()
  const cards = await openWiredCards({ sockets, queues: 2, mtu: 9000, loss: 0.1, seed: 5 })
  assert.deepEqual(sockets.map(existsSync), [true, true])
  cards.setLink(false)
  const looks = await cards.look()
  assert.deepEqual(
    looks.map(({ socket, mac, connected, state }) => [socket, mac, connected, state.running]),
    [
      [sockets[0], '02:6e:6d:00:00:01', false, false],
      [sockets[1], '02:6e:6d:00:00:02', false, false],
    ],
  )
  await Promise.all([cards.close(), cards.close(), cards.closed])
  assert.deepEqual(sockets.map(existsSync), [false, false])
  assert.deepEqual(await cards.look(), [])
  await noneOpenSince(before)
})

test('a socket that cannot be made refuses both cards', async () => {
  const missing = join(folder, 'no', 'b.sock')
  await assert.rejects(openWiredCards({ sockets: [sockets[0] ?? '', missing] }), {
    code: 'NETMEM_SYSCALL_FAILED',
  })
  assert.equal(existsSync(sockets[0] ?? ''), false)
})

test('cards whose sockets are taken leave the capture of those that have them', async () => {
  const capture = join(folder, 'written.pcapng')
  await using cards = await openWiredCards({ sockets, capture })
  // A look writes what is buffered.
  await cards.look()
  const head = readFileSync(capture)
  assert.ok(head.length > 0)
  appendFileSync(capture, 'frames')
  await assert.rejects(openWiredCards({ sockets, capture }), { code: 'NETMEM_SYSCALL_FAILED' })
  assert.deepEqual(readFileSync(capture), Buffer.concat([head, Buffer.from('frames')]))
})

test('options outside their range are refused', async () => {
  const invalid = { code: 'NETMEM_INVALID_ARGUMENT' }
  await assert.rejects(openWiredCards({ sockets: sockets.slice(1) }), invalid)
  await assert.rejects(openWiredCards({ sockets: [sockets[0] ?? '', sockets[0] ?? ''] }), invalid)
  await assert.rejects(openWiredCards({ sockets: [sockets[0] ?? '', ''] }), invalid)
  const before = openDescriptors()
  const range = { code: 'NETMEM_OUT_OF_RANGE' }
  await assert.rejects(openWiredCards({ sockets, queues: 17 }), range)
  await assert.rejects(openWiredCards({ sockets, mtu: 9001 }), range)
  await assert.rejects(openWiredCards({ sockets, loss: 1.5 }), range)
  await noneOpenSince(before)
})
