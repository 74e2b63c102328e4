// A process with few descriptors, which takes a machine once it has some again.
import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { turns, until } from '../testing/waiting.test.helper.ts'
import { VFIO_USER } from '../wire/vfio-user.ts'
import { connected } from './connected.test.helper.ts'
import { DeviceServer, serveDevice } from './index.ts'
import { RecordingDevice } from './recording-device.test.helper.ts'
import { createTestMachine, messageOf } from './testing/index.ts'
import { VfioUserError } from './vfio-user-error.ts'

const [, , folder = ''] = process.argv

/** Opens all descriptors that this process may have. The result closes them, or some of them. */
function runOut(): (count?: number) => void {
  const held: number[] = []
  try {
    for (;;) held.push(openSync('/dev/null', 'r'))
  } catch {
    assert.ok(held.length > 0)
  }
  return (count = held.length) => {
    for (const fd of held.splice(0, count)) closeSync(fd)
  }
}

/** Runs out of descriptors in a thread that polls. */
async function inThread(path: string): Promise<void> {
  using server = new DeviceServer(new RecordingDevice(), { path })
  using machine = connected(path)
  const end = runOut()
  let message = ''
  try {
    server.step()
  } catch (error) {
    assert.ok(error instanceof VfioUserError)
    assert.equal(error.code, 'NETMEM_VFIO_USER_ACCEPT')
    message = error.message
  }
  // The server reports it once, and is not called while the machine waits.
  assert.equal(server.step(), 0)
  assert.equal(server.connected, false)
  assert.ok(server.events === 0 && server.retryMs > 0)
  end()
  assert.match(message, /ulimit -n/)
  await until(() => {
    if (server.events !== 0) server.step()
    return server.connected
  })
  machine.close()
  while (server.connected) server.step()
  using _next = connected(path)
  const endAgain = runOut()
  let code: unknown
  try {
    server.step()
  } catch (error) {
    code = error instanceof VfioUserError && error.code
  }
  endAgain()
  assert.equal(code, 'NETMEM_VFIO_USER_ACCEPT', 'it says so of the next machine')
}

/** Loses the descriptor of a message, for which there is no room. */
function lost(): void {
  using machine = createTestMachine(new RecordingDevice())
  const end = runOut()
  machine.send(messageOf(1, VFIO_USER.DEVICE_SET_IRQS, 0, new Uint8Array(20)), [machine.file.fd])
  let message = ''
  try {
    machine.session?.step()
  } catch (error) {
    message = error instanceof VfioUserError ? error.message : ''
  }
  end()
  assert.match(message, /ulimit -n/)
  assert.equal(machine.session?.open, false)
}

/** Runs out of descriptors in an event loop. */
async function inLoop(path: string): Promise<void> {
  const events: string[] = []
  await using served = await serveDevice(path, new RecordingDevice(), {
    onConnect: () => events.push('connect'),
    onDisconnect: (reason) => events.push(`${reason?.code}`),
  })
  using _machine = connected(path)
  const end = runOut()
  await until(() => events.length > 0)
  // One free descriptor, for the machine, is enough.
  end(1)
  await until(() => served.connected)
  await turns()
  assert.equal(served.connected, true)
  end()
  assert.deepEqual(events, ['NETMEM_VFIO_USER_ACCEPT', 'connect'])
}

/** Closed while it waits. */
async function closed(path: string): Promise<void> {
  const events: string[] = []
  const served = await serveDevice(path, new RecordingDevice(), {
    onDisconnect: (reason) => events.push(`${reason?.code}`),
  })
  using _machine = connected(path)
  const end = runOut()
  await until(() => events.length > 0)
  end()
  const ends = served.close().then(() => true)
  assert.ok(await Promise.race([ends, turns().then(() => false)]), 'at once')
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout'),
    [],
  )
}

lost()
await inThread(join(folder, 'thread.sock'))
await inLoop(join(folder, 'loop.sock'))
await closed(join(folder, 'closed.sock'))
console.log('taken')
