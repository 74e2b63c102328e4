import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFields } from '../errors.ts'
import { jsonOf, run } from './cli.test.helper.ts'

describe('netmem doctor', () => {
  it('has a status and a value for everything, and a remedy for what is not ok', async () => {
    const ended = await run(['doctor', '--json'])
    assert.deepEqual([ended.code, ended.err], [0, ''])
    const { findings } = jsonOf(ended)
    assert.ok(Array.isArray(findings))
    const names = findings.map((finding: unknown) => {
      assert.ok(isFields(finding))
      const { name, feature, status, value, remedy } = finding
      assert.ok(typeof feature === 'string' && feature !== '', String(name))
      assert.ok(typeof value === 'string' && value !== '' && !value.includes('NaN'), String(name))
      assert.ok(status === 'ok' || status === 'warn' || status === 'missing')
      assert.equal(typeof remedy, status === 'ok' ? 'undefined' : 'string')
      return name
    })
    for (const name of [
      'node',
      'posted reads',
      'host memory',
      'shared memory',
      'koffi',
      'kernel',
      'nc',
    ]) {
      assert.ok(names.includes(name), name)
    }
    assert.equal(new Set(names).size, names.length)
  })

  it('says the same to people', async () => {
    const { code, out } = await run(['doctor'])
    assert.equal(code, 0)
    const text = out.toString()
    assert.match(text, /^Everything\n {2}ok +node +v\d+\.\d+\.\d+, /m)
    assert.match(text, /^ {2}ok +host memory +pages can be made of it$/m)
    assert.match(text, /^Netlink: .*netmem pools\n {2}ok +kernel +/m)
  })
})
