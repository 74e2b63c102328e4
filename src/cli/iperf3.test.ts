import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { inside, jsonOf, netmem, Running, unlessInstalled } from './cli.test.helper.ts'

const IPERF3 = 'iperf3'
const skip = unlessInstalled(IPERF3, ['--version'])

function client(port: number, ...flags: string[]): Running {
  return new Running(IPERF3, ['-c', '127.0.0.1', '-p', String(port), ...flags])
}

describe('netmem iperf3', { skip }, () => {
  it('prints what iperf3 prints', async () => {
    const server = netmem('iperf3', '--port', '0', '--once')
    assert.equal((await client(await server.port(), '-n', '64M', '-P', '2').ended).code, 0)
    const { code, out, err } = await server.ended
    assert.equal(code, 0, err)
    assert.match(out.toString(), /^Test of 127\.0\.0\.1:\d+, streams: 2$/m)
    assert.match(out.toString(), /^\[ ID\] Interval +Transfer +Bitrate$/m)
    assert.match(out.toString(), /^\[SUM\] +0\.00-.* 64\.[0-3] MBytes .*bits\/sec +receiver$/m)
    assert.match(out.toString(), /^pool: \d+ pages taken, \d+ times empty, 0 out; /m)
  })

  it('says it in JSON', async () => {
    const server = netmem('iperf3', '--port', '0', '--once', '--memory', 'shared', '--json')
    assert.equal((await client(await server.port(), '-n', '10M').ended).code, 0)
    const ended = await server.ended
    const report = jsonOf(ended)
    const test = inside(report, 'tests')
    assert.deepEqual([ended.code, test['kind'], test['bytes']], [0, 'completed', 10 * 2 ** 20])
    assert.equal(inside(report, 'pool')['out'], 0)
  })

  it('fails with a test that it refuses', async () => {
    const server = netmem('iperf3', '--port', '0', '--once', '--json')
    assert.notEqual((await client(await server.port(), '-R').ended).code, 0)
    const ended = await server.ended
    assert.equal(ended.code, 1)
    assert.match(ended.err, /^netmem: TEST_FAILED: refused: -R is not supported/m)
    assert.equal(inside(jsonOf(ended), 'error')['code'], 'TEST_FAILED')
  })

  it('ends at SIGINT in the middle of a test, with its summary', async () => {
    const server = netmem('iperf3', '--port', '0')
    const running = client(await server.port(), '-t', '10')
    await server.prints(/^\[ {2}1\] +0\.00-/m)
    server.child.kill('SIGINT')
    const { code, out, err } = await server.ended
    assert.match((await running.ended).err, /server has terminated/)
    assert.equal(code, 130)
    assert.match(out.toString(), /^\[ {2}1\] +0\.00-.* [MG]Bytes .* receiver$/m)
    assert.match(err, /^netmem: TEST_FAILED: terminated: the server was stopped/m)
  })
})
