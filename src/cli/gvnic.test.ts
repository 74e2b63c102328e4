import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { jsonOf, netmem, run, temporaryFolder } from './cli.test.helper.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const path = temporaryFolder()
const sockets = [path('a.sock'), path('b.sock')]
const args = sockets.flatMap((socket) => ['--socket', socket])

describe('netmem gvnic', { skip }, () => {
  it('prints the options of QEMU, shows its cards, and ends with a signal', async () => {
    const running = netmem('gvnic', ...args)
    await running.prints(/b\.sock: no machine\n/)
    assert.deepEqual(sockets.map(existsSync), [true, true])
    running.child.kill('SIGTERM')
    const { code, out, err } = await running.ended
    assert.deepEqual([code, err], [143, ''])
    const lines = out.toString().split('\n')
    assert.match(lines[0] ?? '', /^-object memory-backend-memfd,id=mem,size=2G,share=on$/)
    const device = `{"driver":"vfio-user-pci","socket":{"path":"${sockets[0]}","type":"unix"}}`
    assert.equal(lines[2], `-device '${device}'`)
    assert.deepEqual(sockets.map(existsSync), [false, false])
  })

  it('prints lines of JSON with what the cards are', async () => {
    const running = netmem(
      'gvnic',
      ...args,
      '--queues',
      '2',
      '--loss',
      '.01',
      '--seed',
      '3',
      '--json',
    )
    await running.prints(/"event":"look"/)
    running.child.kill('SIGINT')
    const report = jsonOf(await running.ended)
    assert.equal(report['exitCode'], 130)
    assert.equal(JSON.stringify(report['cards']).match(/"connected":false/g)?.length, 2)
  })

  it('takes two sockets, and numbers in their ranges', async () => {
    for (const wrong of [
      ['--socket', path('c.sock')],
      [...args, '--socket', path('c.sock')],
      [...args, '--queues', '17'],
      [...args, '--mtu', '67'],
      [...args, '--loss', '1.1'],
    ]) {
      const { code, err } = await run(['gvnic', ...wrong])
      assert.equal(code, 2, wrong.join(' '))
      assert.match(err, /^netmem: USAGE: /)
    }
  })
})
