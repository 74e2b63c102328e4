// `netmem recv --memory udmabuf`, on a kernel that has udmabufs: this project's guest.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import net from 'node:net'
import { it } from 'node:test'
import { inside, jsonOf, netmem } from './cli.test.helper.ts'
import { Pattern } from './pattern.ts'

it('netmem recv takes bytes into a dma-buf, and verifies them', async () => {
  const data = Buffer.concat([...new Pattern(7).views(200_019, 2 ** 16)])
  const recv = netmem(
    ...['recv', '--port', '0', '--once', '--memory', 'udmabuf', '--pool', '1MiB', '--json'],
    ...['--pattern', '7', '--bytes', `${data.length}`, '--sha256'],
  )
  const port = await recv.port()
  net.connect(port, '127.0.0.1').end(data)
  const ended = await recv.ended
  assert.equal(ended.code, 0, ended.err)
  assert.match(ended.err, /4 pages of 256KiB, udmabuf memory/)
  assert.doesNotMatch(ended.err, /NetmemWarning/)
  const transfer = inside(jsonOf(ended), 'transfers')
  assert.deepEqual(
    [transfer['verified'], transfer['sha256']],
    [true, createHash('sha256').update(data).digest('hex')],
  )
})
