/** Runs the examples of netmem/linux that every kernel can run. */

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createFrag, createPool, hostProvider } from 'netmem'
import { offerPools } from 'netmem/observe'
import { ended, withDirectory, withProgram } from './programs.test.helper.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const skipUnlessRoot =
  skip || (process.getuid?.() === 0 ? false : 'network namespaces are made by root: sudo')

test('page-pools.ts lists the kernel’s pools and those that are offered', { skip }, async () => {
  await withDirectory(async (directory) => {
    const before = process.env['XDG_RUNTIME_DIR']
    process.env['XDG_RUNTIME_DIR'] = directory
    const pool = createPool(hostProvider({ pages: 2, pageSize: 4096 }), { name: 'uploads' })
    const page = pool.alloc()
    assert.ok(page !== undefined)
    using frag = createFrag(pool, page)
    const offer = await offerPools()
    const { code, lines, errors } = await ended('page-pools.js')
    offer.close()
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR']
    else process.env['XDG_RUNTIME_DIR'] = before
    assert.deepEqual([code, errors, frag.length], [0, '', 4096])
    assert.match(lines[0] ?? '', /^page pools of the kernel: \d+$/)
    assert.match(lines.at(-1) ?? '', / uploads: 4096 bytes in the application, 0 bytes in sockets$/)
  })
})

test('notifications.ts tells of interfaces that come and go', {
  skip: skipUnlessRoot,
}, async () => {
  const name = `netmem-${process.pid}`
  const ip = (...args: string[]): unknown => execFileSync('ip', args)
  ip('netns', 'add', name)
  try {
    await withProgram('notifications.js', [`/run/netns/${name}`], async (program) => {
      assert.equal(await program.line(), 'listening')
      ip('-n', name, 'link', 'add', 'nm0', 'type', 'bridge')
      const added = await program.line()
      assert.match(added, /^dev-add-ntf \d+$/)
      ip('-n', name, 'link', 'del', 'nm0')
      assert.equal(await program.line(), added.replace('add', 'del'))
    })
  } finally {
    ip('netns', 'del', name)
  }
})

test('devmem-receiver.ts says what an interface lacks', { skip: skipUnlessRoot }, () => {
  const program = fileURLToPath(new URL('./devmem-receiver.js', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [program, '1', '0'], { encoding: 'utf8' })
  assert.equal(status, 1)
  assert.match(stderr, /NETMEM_(DEVMEM_NO_QUEUE_LEFT|LINUX_UNAVAILABLE)/)
})
