import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { netmem } from '../cli.test.helper.ts'
import { DataTotals, flowOf } from './devmem.ts'

test('a rule for a connection has its five fields', () => {
  const localAddress = { host: '192.0.2.1', port: 5201 }
  const remoteAddress = { host: '192.0.2.2', port: 40_000 }
  const flow = {
    type: 'tcp4',
    sourceAddress: '192.0.2.2',
    sourcePort: 40_000,
    destinationAddress: '192.0.2.1',
    destinationPort: 5201,
  }
  assert.deepEqual(flowOf({ localAddress, remoteAddress }), flow)
  // Connections of a listener on ::, an IPv4 client's too.
  const mapped = {
    localAddress: { host: '::ffff:192.0.2.1', port: 5201 },
    remoteAddress: { host: '::ffff:192.0.2.2', port: 40_000 },
  }
  assert.deepEqual(flowOf(mapped), flow)
  const six = { host: '2001:db8::1', port: 1 }
  assert.equal(flowOf({ localAddress: six, remoteAddress: six }).type, 'tcp6')
})

test('payload counts once, before its connection has closed and after', async () => {
  const totals = new DataTotals()
  const connection = (device_bytes: number, closed: Promise<void>) => ({
    closed,
    stats: () => ({
      device_bytes,
      linear_bytes: 37,
      device_frags: 1,
      ...{ tokens_out: 0, tokens_returned: 1, return_calls: 1, completions: 0, copied: 0 },
    }),
  })
  let close = (): void => {}
  const closed = new Promise<void>((resolve) => {
    close = resolve
  })
  totals.add(connection(1000, closed))
  totals.add(connection(500, new Promise(() => {})))
  const expected = { device_bytes: 1500, device_frags: 2, linear_bytes: 74 }
  assert.deepEqual(totals.now(), expected)
  close()
  await closed
  assert.deepEqual(totals.now(), expected)
})

const skip = existsSync('/proc/self/ns/net') ? false : 'needs Linux'

test('netmem iperf3 --memory devmem says which options it needs', { skip }, async () => {
  for (const [args, error] of [
    [['--memory', 'devmem'], /--memory devmem needs --interface and --queues/],
    [['--interface', 'lo', '--queues', '0'], /are for --memory devmem/],
    [
      ['--memory', 'devmem', '--interface', 'no-such', '--queues', '0'],
      /There is no interface no-such/,
    ],
  ] as const) {
    const { code, err } = await netmem('iperf3', '--once', ...args).ended
    assert.notEqual(code, 0)
    assert.match(err, error)
  }
})
