// The device is removed beneath drivers and bindings. They still end, and nothing stays out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { end, some } from '../../testing/pools.test.helper.ts'
import { Path, pattern, tcp } from './path.test.helper.ts'

const injected = { kind: 'injected' } as const

for (const what of ['device', 'nic'] as const) {
  for (const driver of ['page', 'netmem', 'bound'] as const) {
    test(`the ${what} is closed before its driver: ${driver}`, async () => {
      const path = await Path.open({
        driver: driver === 'page' ? 'page' : 'netmem',
        bound: driver === 'bound' ? [1] : [],
        nic: { link: injected, queues: 2 },
        // Packets received on pages go back out.
        seen: (skb) => skb.kind === 'page' && path.driver.transmit(skb),
      })
      await path.through(tcp(1, pattern(1000, 1)), tcp(1001, pattern(1000, 2)))
      if (what === 'device') await path.device.close()
      else await path.nic.close()
      await path.driver.close()
      await path.binding?.close()
      await path.binding?.released()
      assert.equal(path.binding?.inflight ?? 0, 0)
      await end(...path.pools)
      await path.device.close()
    })
  }
}

test('the device is closed with frags held, whose release goes nowhere', async () => {
  const path = await Path.open({ bound: [0], nic: { link: injected } })
  await path.through(tcp(1, pattern(1000, 1)))
  const frag = some(path.flow.receiver.take())
  await path.device.close()
  await path.driver.close()
  frag.release()
  await some(path.binding)
    .released()
    .catch(() => {})
  assert.equal(some(path.binding).inflight, 0)
  await end(...path.pools)
})
