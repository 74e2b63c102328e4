import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createCaptureLink } from '../stack/link/capture/capture-link.ts'
import { createPcapngWriter } from '../stack/link/capture/pcapng-writer.ts'
import { jsonOf, netmem, run, runInTurn, temporaryFolder } from './cli.test.helper.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const path = temporaryFolder()
const sockets = [path('a.sock'), path('b.sock')]
const args = sockets.flatMap((socket) => ['--socket', socket])

describe('netmem gvnic', { skip }, () => {
  it('prints the options of QEMU, shows its cards, and ends with a signal', async () => {
    const running = netmem('gvnic', ...args)
    await running.prints(/b\.sock, wired, MTU 1500: no machine\n/)
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

  it('quotes the options of QEMU for a shell', async () => {
    const quoted = path("it's one.sock")
    const running = netmem('gvnic', '--socket', quoted, '--socket', path('b.sock'))
    await running.prints(/b\.sock, wired/)
    running.child.kill('SIGTERM')
    const [, , device = ''] = (await running.ended).out.toString().split('\n')
    const words = execFileSync('sh', ['-c', `printf '%s\\n' ${device}`], { encoding: 'utf8' })
    const [option, value = ''] = words.split('\n')
    assert.equal(option, '-device')
    assert.equal(JSON.parse(value).socket.path, quoted)
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
    const wrong = [
      ['--socket', path('c.sock')],
      [...args, '--socket', path('c.sock')],
      [...args, '--queues', '17'],
      [...args, '--mtu', '67'],
      [...args, '--loss', '1.1'],
      [...args, '--link', 'wire'],
      [...args, '--link', 'tap:'],
      [...args, '--link', 'tap:tap0'],
    ]
    const ends = await runInTurn(wrong.map((words) => ['gvnic', ...words]))
    for (const [at, { code, err }] of ends.entries()) {
      assert.equal(code, 2, wrong[at]?.join(' '))
      assert.match(err, /^netmem: USAGE: /)
    }
  })

  it('plays a capture, and writes one', async () => {
    const played = path('played.pcapng')
    createPcapngWriter(played).close()
    const link = ['--socket', path('c.sock'), '--link', `capture:${played}`]
    const written = path('written.pcapng')
    const running = netmem('gvnic', ...link, '--capture', written)
    await running.prints(/c\.sock, .*played\.pcapng played, MTU 1500: no machine\n/)
    running.child.kill('SIGINT')
    const { code, out, err } = await running.ended
    assert.deepEqual([code, err], [130, ''])
    assert.match(out.toString(), /-device '.*c\.sock/)
    createCaptureLink(written).close()
  })

  it('names what a link is refused for', async () => {
    for (const [link, refusal] of [
      [`capture:${path('missing')}`, /^netmem: ENOENT: .*missing/],
      [`capture:${process.execPath}`, /^netmem: NETMEM_CAPTURE_INVALID: /],
      // lo is no TAP interface, which root is told. Others have no permission.
      ['tap:lo', /^netmem: NETMEM_TAP_\w+: /],
    ] as const) {
      const { code, err } = await run(['gvnic', '--socket', path('d.sock'), '--link', link])
      assert.equal(code, 1, link)
      assert.match(err, refusal)
    }
    assert.equal(existsSync(path('d.sock')), false)
  })
})
