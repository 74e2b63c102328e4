// A kernel that has all of it, and a card that has nothing of it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFields } from '../errors.ts'
import { jsonOf, run } from './cli.test.helper.ts'

describe('netmem doctor in the guest', () => {
  it('finds exporters, operations and rights, and no card', async () => {
    const { findings } = jsonOf(await run(['doctor', '--json']))
    assert.ok(Array.isArray(findings))
    const statuses = new Map<unknown, string>()
    for (const finding of findings) {
      assert.ok(isFields(finding))
      statuses.set(finding['name'], `${finding['status']} ${finding['value']}`)
    }
    for (const name of [
      'netlink',
      'page pools',
      'udmabuf',
      'udmabuf size_limit_mb',
      'dma heap system',
      'bind-rx',
      'bind-tx',
      'bind-rx rx-page-size',
      'queue-create',
      'right to bind',
      'right to steer flows',
    ]) {
      assert.match(statuses.get(name) ?? 'not there', /^ok /, name)
    }
    assert.match(statuses.get('eth0: device memory') ?? '', /^missing .*EOPNOTSUPP/)
  })
})
