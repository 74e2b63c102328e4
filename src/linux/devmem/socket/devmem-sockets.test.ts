// Devmem sockets over the loopback interface: the kernel gives payload in host memory there, and all else
// is as on a card.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it, test } from 'node:test'
import type { Connection } from '../../../connection.ts'
import { isNetmemError } from '../../../errors.ts'
import type { Page } from '../../../netmem.ts'
import { createPool } from '../../../pool/create-pool.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { hostProvider } from '../../../providers/host.ts'
import { connectionConformance } from '../../../testing/connection-conformance.ts'
import type { ConnectionEnds } from '../../../testing/connection-ends.ts'
import { noneOpenSince, openDescriptors } from '../../../testing/descriptors.test.helper.ts'
import { codeOf } from '../../../testing/fails-with.test.helper.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import { AF_INET, loadLibc, SOCK_DGRAM, SOCK_STREAM, socket } from '../../sys/index.ts'
import { adoptDevmem, connectDevmem, type DevmemConnection, listenDevmem } from './index.ts'

/** Loopback is the first interface of every network namespace. */
const binding = { id: 1, ifindex: 1, queues: [] }

const skip = await whyNot()

async function whyNot(): Promise<string | false> {
  try {
    loadLibc()
    const pool = createPool(hostProvider({ pages: 1 }))
    await using listener = await listenDevmem({ pool, binding, host: '127.0.0.1', port: 0 })
    const { host, port } = listener.address
    const connection = await connectDevmem({ pool, binding, host, port })
    await connection.close()
    await pool.destroy()
    return false
  } catch (error) {
    if (!isNetmemError(error)) throw error
    return `needs Linux 6.12 with CONFIG_NET_DEVMEM, and koffi: ${error.message}`
  }
}

interface Ends {
  readonly pool: PagePool<Page>
  readonly connection: DevmemConnection
  readonly peer: DevmemConnection
  readonly close: () => Promise<void>
}

async function openEnds(
  more: { readonly strict?: boolean } = {},
  host = '127.0.0.1',
): Promise<Ends> {
  const pool = createPool(hostProvider({ pages: 16, pageSize: 65_536 }))
  const options = { pool, binding, ...more }
  const listener = await listenDevmem({ ...options, host, port: 0 })
  const [peer, connection] = await Promise.all([
    connectDevmem({ pool, binding, host, port: listener.address.port }),
    listener.accept(),
  ])
  await listener.close()
  const close = async (): Promise<void> => {
    await pool.destroy()
  }
  return { pool, connection: some(connection), peer, close }
}

/** A connection of the suite, which wants host memory: on loopback nothing else comes. */
function hostOf(connection: DevmemConnection): Connection {
  return connection as unknown as Connection
}

for (const [name, host] of [
  ['IPv4', '127.0.0.1'],
  ['IPv6', '::1'],
] as const) {
  for (const swap of [false, true]) {
    const open = async (): Promise<ConnectionEnds> => {
      const { connection, peer, close } = await openEnds({}, host)
      const [one, other] = swap ? [peer, connection] : [connection, peer]
      return { connection: hostOf(one), peer: hostOf(other), resets: true, close }
    }
    connectionConformance(`devmem sockets, ${name}, ${swap ? 'connect' : 'listen'}`, open, {
      test: (title, body) => test(title, { skip }, body),
      receivers: false,
    })
  }
}

describe('devmem sockets on loopback', { skip }, () => {
  it('count payload in host memory, and refuse it when strict', async () => {
    const { connection, peer, close } = await openEnds()
    await peer.write('hello')
    const frag = some(await connection.receive())
    assert.equal(frag.kind, 'page')
    frag.release()
    const { linear_bytes, device_bytes, tokens_out } = connection.stats()
    assert.deepEqual([linear_bytes, device_bytes, tokens_out], [5, 0, 0])
    await Promise.all([connection.close(), peer.close()])
    await close()

    const strict = await openEnds({ strict: true })
    await strict.peer.write('hello')
    assert.equal(await codeOf(strict.connection.receive()), 'NETMEM_DEVMEM_READABLE')
    assert.equal(strict.connection.state.kind, 'failed')
    strict.peer.destroy()
    await strict.close()
  })

  it('fail a send of device memory that is not bound, and tell the receiver', async () => {
    const { connection, peer, close } = await openEnds()
    const unbound = { id: 999_999, ifindex: 1, queues: [], dmabuf: { bytes: 4096 } }
    assert.equal(await codeOf(connection.sendDevice(unbound, 4096, 1)), 'NETMEM_OUT_OF_RANGE')
    assert.equal(await codeOf(connection.sendDevice(unbound, 0, 4097)), 'NETMEM_OUT_OF_RANGE')
    const waiting = codeOf(peer.receive())
    const code = await codeOf(connection.sendDevice(unbound, 0, 4096))
    // Kernels before 6.16 take no binding to send with.
    assert.match(code, /^NETMEM_DEVMEM_(NOT_SENDABLE|KERNEL)$/)
    assert.equal(connection.state.kind, 'failed')
    assert.equal(await waiting, 'NETMEM_CONNECTION_RESET')
    await close()
  })

  it('wait for the pool, and lose nothing', async () => {
    const pool = createPool(hostProvider({ pages: 2, pageSize: 4096 }))
    const options = { pool, binding, host: '127.0.0.1' }
    const listener = await listenDevmem({ ...options, port: 0 })
    const { port } = listener.address
    const sender = net.connect(port, '127.0.0.1').on('error', () => {})
    const connection = some(await listener.accept())
    const bytes = Buffer.alloc(100_000, 'netmem ')
    sender.end(bytes)
    const held = [some(await connection.receive()), some(await connection.receive())]
    let answered = false
    const third = connection.receive().finally(() => {
      answered = true
    })
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(answered, false)
    const received: Uint8Array[] = []
    for (const frag of held) {
      assert.ok(frag.kind === 'page')
      received.push(frag.copy())
      frag.release()
    }
    for (let frag = await third; frag !== undefined; frag = await connection.receive()) {
      assert.ok(frag.kind === 'page')
      received.push(frag.copy())
      frag.release()
    }
    assert.ok(Buffer.concat(received).equals(bytes))
    await connection.close()
    await listener.close()
    await pool.destroy()
  })

  it('adopt a descriptor that was accepted elsewhere, and no other', async () => {
    const pool = createPool(hostProvider({ pages: 4 }))
    const code = (fd: unknown): Promise<string> =>
      codeOf(
        Promise.resolve().then(() =>
          Reflect.apply(adoptDevmem, undefined, [{ fd, pool, binding }]),
        ),
      )
    using datagrams = socket(AF_INET, SOCK_DGRAM)
    using fresh = socket(AF_INET, SOCK_STREAM)
    assert.equal(await code(datagrams.fd), 'NETMEM_DEVMEM_NOT_TCP')
    assert.equal(await code(fresh.fd), 'NETMEM_DEVMEM_NOT_TCP')
    assert.equal(await code(1), 'NETMEM_DEVMEM_NOT_TCP')
    assert.equal(await code(999_999), 'NETMEM_DEVMEM_NOT_TCP')
    assert.equal(await code(new net.Socket()), 'NETMEM_INVALID_ARGUMENT')
    assert.ok(datagrams.open && fresh.open)
    await pool.destroy()
  })

  it('say which queue it is, or that nothing says so', async () => {
    const { connection, peer, close } = await openEnds()
    assert.equal(await connection.queue(), undefined)
    peer.destroy()
    connection.destroy()
    await close()
  })

  it('refuse a route by another interface, and a port without a listener', async () => {
    const pool = createPool(hostProvider({ pages: 1 }))
    const elsewhere = { ...binding, ifindex: 2 ** 20 }
    const to = { pool, host: '127.0.0.1', port: 1 }
    assert.equal(await codeOf(connectDevmem({ ...to, binding: elsewhere })), 'NETMEM_DEVMEM_ROUTE')
    assert.equal(await codeOf(connectDevmem({ ...to, binding })), 'NETMEM_CONNECT_FAILED')
    const listener = listenDevmem({ pool, binding: elsewhere, port: 0 })
    assert.equal(await codeOf(listener), 'NETMEM_DEVMEM_NO_INTERFACE')
    // Tests on TAP interfaces give 192.0.2.1 to this machine, perhaps at this moment.
    const remote = listenDevmem({ pool, binding, host: '203.0.113.1', port: 0 })
    assert.equal(await codeOf(remote), 'NETMEM_LISTEN_FAILED')
    assert.equal(
      await codeOf(listenDevmem({ pool, binding: [binding, elsewhere], port: 0 })),
      'NETMEM_INVALID_ARGUMENT',
    )
    const aborted = { ...to, binding, signal: AbortSignal.abort() }
    assert.equal(await codeOf(connectDevmem(aborted)), 'NETMEM_ABORTED')
    await pool.destroy()
  })

  it('end with their signal, and leave no descriptor', async () => {
    const before = openDescriptors()
    for (let round = 0; round < 3; round++) {
      const pool = createPool(hostProvider({ pages: 4 }))
      const controller = new AbortController()
      const options = { pool, binding, host: '127.0.0.1', signal: controller.signal }
      const listener = await listenDevmem({ ...options, port: 0 })
      const peer = await connectDevmem({ ...options, port: listener.address.port })
      const connection = some(await listener.accept())
      const waiting = [codeOf(connection.receive()), codeOf(peer.receive())]
      const accepting = listener.accept()
      controller.abort()
      assert.deepEqual(await Promise.all(waiting), ['NETMEM_ABORTED', 'NETMEM_ABORTED'])
      assert.equal(await accepting, undefined)
      await Promise.all([connection.closed, peer.closed, pool.destroy()])
    }
    await noneOpenSince(before)
  })

  it('notice a reset while nothing is received, and keep what arrived before', async () => {
    const { connection, peer, close } = await openEnds()
    await peer.write('before')
    peer.destroy(new Error('enough'))
    await connection.closed
    assert.equal(connection.state.kind, 'failed')
    const frag = some(await connection.receive())
    assert.ok(frag.kind === 'page')
    assert.equal(Buffer.from(frag.bytes).toString(), 'before')
    frag.release()
    assert.equal(await codeOf(connection.receive()), 'NETMEM_CONNECTION_RESET')
    await close()
  })

  it('let a process end when they are not referenced', async () => {
    const here = new URL('./index.js', import.meta.url).href
    const core = new URL('../../../index.js', import.meta.url).href
    const program = `
      const { listenDevmem, connectDevmem } = await import('${here}')
      const { createPool, hostProvider } = await import('${core}')
      const options = { pool: createPool(hostProvider({ pages: 1 })), binding: { id: 1, ifindex: 1, queues: [] }, host: '127.0.0.1' }
      const listener = await listenDevmem({ ...options, port: 0 })
      const peer = await connectDevmem({ ...options, port: listener.address.port })
      const connection = (await listener.accept()).unref()
      peer.unref()
      connection.receive()
      listener.unref().accept()`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: 'inherit',
    })
    const [code] = await once(child, 'exit')
    // 13: the module's promises are all settled.
    assert.equal(code, 0)
  })
})
