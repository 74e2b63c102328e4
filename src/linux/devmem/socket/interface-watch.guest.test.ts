// Connections and listeners whose interface goes: in this project's guest, which can make interfaces.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { createPool } from '../../../pool/create-pool.ts'
import { hostProvider } from '../../../providers/host.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import { until } from '../../../testing/waiting.test.helper.ts'
import { connectDevmem, listenDevmem } from './index.ts'

function addInterface(name: string, address: string): number {
  execFileSync('ip', ['link', 'add', name, 'type', 'bridge'])
  execFileSync('ip', ['addr', 'add', address, 'dev', name])
  execFileSync('ip', ['link', 'set', name, 'up'])
  // A neighbour that answers: the kernel gives a connection up after three seconds without one.
  const neighbour = ['192.0.2.9', 'lladdr', '02:00:00:00:00:09', 'nud', 'permanent']
  execFileSync('ip', ['neigh', 'add', ...neighbour, 'dev', name])
  return Number.parseInt(execFileSync('ip', ['-o', 'link', 'show', name], { encoding: 'utf8' }), 10)
}

/** State of a connection on its way to port 1 of 192.0.2.9, in /proc/net/tcp. */
const SYN_SENT = '090200C0:0001 02'
const gone = { code: 'NETMEM_DEVMEM_NO_INTERFACE' }

it('an interface that goes ends what listens, connects and waits on it, and nothing else', async () => {
  const before = readdirSync('/proc/self/fd').length
  const pool = createPool(hostProvider({ pages: 8 }))
  const ifindex = addInterface('nm6', '192.0.2.1/24')
  const binding = { id: 1, ifindex, queues: [] }
  const other = { id: 2, ifindex: 1, queues: [] }
  const listener = await listenDevmem({ pool, binding, port: 0 })
  const loopback = await listenDevmem({ pool, binding: other, host: '127.0.0.1', port: 0 })
  const { host, port } = loopback.address
  const [peer, stays] = await Promise.all([
    connectDevmem({ pool, binding: other, host, port }),
    loopback.accept(),
  ])
  const accepting = assert.rejects(listener.accept(), gone)
  // The address has no host.
  const connecting = assert.rejects(
    connectDevmem({ pool, binding, host: '192.0.2.9', port: 1 }),
    gone,
  )
  const states = (): string => readFileSync('/proc/thread-self/net/tcp', 'latin1')
  await until(() => states().includes(SYN_SENT), 'the connection is on its way')
  execFileSync('ip', ['link', 'del', 'nm6'])
  await Promise.all([accepting, connecting])
  await assert.rejects(listener.accept(), gone)
  await listener.close()
  assert.equal(await listener.accept(), undefined)
  await peer.write('still here')
  const frag = some(await some(stays).receive())
  assert.equal(frag.length, 10)
  frag.release()
  await Promise.all([peer.close(), some(stays).close()])
  await loopback.close()
  await pool.destroy()
  assert.equal(readdirSync('/proc/self/fd').length, before)
})
