// A machine without koffi: each command says what is missing, and does the rest.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFields } from '../errors.ts'
import {
  type Ended,
  inside,
  jsonOf,
  MAIN,
  runWithoutKoffi,
  temporaryFolder,
} from './cli.test.helper.ts'

const runtime = temporaryFolder()('.')
const env = { XDG_RUNTIME_DIR: runtime }

function program(...args: string[]): Promise<Ended> {
  return runWithoutKoffi(args, env)
}

const skip = process.platform === 'linux' ? false : 'needs Linux'

describe('without koffi', { skip }, () => {
  it('netmem pools says so, and lists the processes', async () => {
    const { code, err, out } = await program(MAIN, 'pools')
    assert.deepEqual([code, err], [0, ''])
    assert.match(out.toString(), /cannot be listed: .*koffi, which is not installed: npm install/)
    const kernel = inside(jsonOf(await program(MAIN, 'pools', '--json')), 'kernel')
    assert.equal(kernel['code'], 'NETMEM_LINUX_UNAVAILABLE')
  })

  it('netmem doctor names it for each feature that needs it', async () => {
    const { findings } = jsonOf(await program(MAIN, 'doctor', '--json'))
    assert.ok(Array.isArray(findings))
    for (const name of ['koffi', 'netlink', 'bind-rx']) {
      const finding: unknown = findings.find((each) => each.name === name)
      assert.ok(isFields(finding), name)
      assert.notEqual(finding['status'], 'ok', name)
      assert.match(String(finding['remedy']), /npm install koffi@3/, name)
    }
  })

  it('netmem recv and devmem end with what is missing', async () => {
    for (const args of [
      ['recv', '--memory', 'udmabuf', '--port', '0'],
      ['devmem', 'undo', 'lo'],
    ]) {
      const { code, err } = await program(MAIN, ...args)
      assert.equal(code, 1)
      assert.match(err, /^netmem: NETMEM_LINUX_UNAVAILABLE: .*npm install koffi@3/, args.join(' '))
    }
  })

  it('each function of netmem/linux that needs it says so at once', async () => {
    const script = `
      import * as linux from '${new URL('../linux/index.js', import.meta.url).href}'
      import { createPool, hostProvider } from '${new URL('../index.js', import.meta.url).href}'
      const pool = createPool(hostProvider({ pages: 1 }))
      const binding = { id: 1, ifindex: 1, queues: [0] }
      const calls = [
        () => linux.openNetlink(),
        () => linux.createUdmabuf({ bytes: 4096 }),
        () => linux.udmabufProvider({ pages: 1, pageSize: 4096 }),
        () => linux.createDmaHeapBuffer({ bytes: 4096 }),
        () => linux.dmaHeapProvider({ pages: 1, pageSize: 4096 }),
        () => linux.receiveDmaBuf('/nowhere'),
        () => linux.openFlowRules({ ifindex: 1 }),
        () => linux.listenDevmem({ pool, binding, port: 5201 }),
        () => linux.connectDevmem({ pool, binding, host: '127.0.0.1', port: 5201 }),
        () => linux.hugeMemory(1),
        () => linux.wakeBatching(),
        () => linux.prepareQueues({ ifindex: 1, queues: [1], flows: [{ type: 'tcp4', destinationPort: 5201 }] }),
      ]
      for (const call of calls) {
        try { await call(); console.log('it worked') } catch (error) { console.log(error.code) }
      }`
    const { out, err } = await program('--input-type=module', '--eval', script)
    assert.equal(err, '')
    assert.deepEqual(out.toString().trim().split('\n'), Array(12).fill('NETMEM_LINUX_UNAVAILABLE'))
  })
})
