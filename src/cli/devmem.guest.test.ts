// `netmem devmem` on interfaces without device memory, and without rights: in this project's guest, which
// has dma-bufs.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { it } from 'node:test'
import { MAIN } from './cli.test.helper.ts'

const SOCKET = '/run/netmem-devmem.sock'

function prepare(
  name: string,
  queues: string,
  ...wrapper: readonly string[]
): [number | null, string] {
  const args = ['devmem', 'prepare', name, '--queues', queues, '--port', '5201', '--socket', SOCKET]
  const [program = '', ...rest] = [...wrapper, process.execPath, MAIN, ...args]
  const { status, stderr } = spawnSync(program, rest, { encoding: 'utf8' })
  return [status, stderr]
}

it('netmem devmem prepare says what an interface lacks, and leaves nothing', () => {
  execFileSync('ip', [
    'link',
    'add',
    'nm4',
    'numrxqueues',
    '4',
    'type',
    'veth',
    'peer',
    'name',
    'nm5',
  ])
  try {
    for (const [name, queues, code] of [
      ['lo', '0', 'NETMEM_DEVMEM_NO_QUEUE_LEFT'],
      ['nm4', '1', 'NETMEM_DEVMEM_DOWN'],
      ['up', '', ''],
      ['nm4', '7', 'NETMEM_DEVMEM_QUEUE'],
      ['nm4', '2,3', 'NETMEM_DEVMEM_NO_SPLIT'],
    ] as const) {
      if (name === 'up') {
        for (const each of ['nm4', 'nm5']) execFileSync('ip', ['link', 'set', each, 'up'])
        continue
      }
      const [status, stderr] = prepare(name, queues)
      assert.equal(status, 1, stderr)
      assert.match(stderr, new RegExp(`^netmem: ${code}: `))
      assert.equal(existsSync(SOCKET), false)
    }
    for (const name of ['lo', 'nm4']) {
      const undo = spawnSync(process.execPath, [MAIN, 'devmem', 'undo', name], { encoding: 'utf8' })
      assert.match(undo.stderr, /^netmem: NETMEM_DEVMEM_NOT_PREPARED: /)
    }
  } finally {
    execFileSync('ip', ['link', 'del', 'nm4'])
  }
})

it('netmem devmem prepare says what a process without rights lacks', () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  const [status, stderr] = prepare('lo', '0', ...nobody)
  assert.equal(status, 1, stderr)
  assert.match(stderr, /^netmem: NETMEM_UDMABUF_UNAVAILABLE: .*\(EACCES\)\. Run as root/)
})
