// Pools of a process as another one sees them: over the socket, in a runtime folder of the test's own.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'
import { createFrag } from '../pool/create-frag.ts'
import { createPool } from '../pool/create-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { end, some } from '../testing/pools.test.helper.ts'
import { firstOutput } from '../testing/processes.test.helper.ts'
import { offeredPools, offerPools } from './index.ts'

const skip = process.getuid === undefined ? 'needs the users of Unix' : false
const runtime = mkdtempSync(join(tmpdir(), 'netmem-runtime-'))
const folder = join(runtime, 'netmem')
const before = process.env['XDG_RUNTIME_DIR']
process.env['XDG_RUNTIME_DIR'] = runtime
after(() => {
  if (before === undefined) delete process.env['XDG_RUNTIME_DIR']
  else process.env['XDG_RUNTIME_DIR'] = before
  rmSync(runtime, { recursive: true })
})
beforeEach(() => rmSync(folder, { recursive: true, force: true }))

const pageSize = 4096
const module = new URL('./index.js', import.meta.url).href
const core = new URL('../index.js', import.meta.url).href

/** Starts a process that runs `code` and prints a line. */
async function started(code: string): Promise<ReturnType<typeof spawn>> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code])
  child.stderr.pipe(process.stderr)
  await firstOutput(child)
  return child
}

describe('offerPools', { skip }, () => {
  it('shows a pool to another process: counters, holders, and the age of the oldest', async () => {
    const child = await started(`
      import { createFrag, createPool, hostProvider } from '${core}'
      import { offerPools } from '${module}'
      // A pool without a reference is collected, and gives back what rests in its cache.
      const pool = globalThis.pool = createPool(hostProvider({ pages: 8, pageSize: 4096 }), { name: 'uploads', traceLeaks: true })
      globalThis.frag = createFrag(pool, pool.alloc())
      globalThis.page = pool.alloc()
      pool.put(pool.alloc())
      await offerPools()
      console.log('ready')
      setInterval(() => {}, 1000)`)
    try {
      const [offer, ...more] = await offeredPools()
      assert.equal(more.length, 0)
      assert.ok(offer?.kind === 'process')
      assert.deepEqual([offer.pid, offer.threadId], [child.pid, 0])
      const [pool] = offer.pools
      assert.equal(pool?.name, 'uploads')
      assert.deepEqual(pool.held, { cache: 6, ring: 0, posted: 0, sockets: 0, application: 2 })
      assert.deepEqual([pool.stats.inflight, pool.stats.out, pool.stats.handles], [8, 2, 1])
      assert.ok(some(pool.oldestMs) >= 0 && some(pool.oldestMs) < 600_000)
    } finally {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    // The killed process left its socket.
    assert.equal(readdirSync(folder).length, 1)
    assert.deepEqual(await offeredPools(), [])
    assert.deepEqual(readdirSync(folder), [])
  })

  it('is for this user alone, and leaves nothing', async () => {
    const offer = await offerPools()
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    assert.equal(statSync(offer.path).mode & 0o777, 0o600)
    await assert.rejects(offerPools(), { code: 'NETMEM_POOLS_NOT_OFFERED' })
    offer.close()
    offer.close()
    await offer.closed
    assert.equal(existsSync(offer.path), false)
    assert.deepEqual(await offeredPools(), [])
    using again = await offerPools()
    assert.equal(again.path, offer.path)
  })

  it('ends with its process, which it does not keep alive', async () => {
    const child = await started(`
      import { offerPools } from '${module}'
      await offerPools()
      console.log('ready')`)
    const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
    assert.equal(code, 0)
    assert.deepEqual(readdirSync(folder), [])
  })

  it('knows how long memory has been out at least, without tracing', async () => {
    const pool = createPool(hostProvider({ pages: 4, pageSize }), { name: 'aged' })
    const frag = createFrag(pool, some(pool.alloc()))
    const offer = await offerPools()
    const age = async (): Promise<number | undefined> => {
      const [own] = await offeredPools()
      assert.ok(own?.kind === 'process')
      return own.pools.find(({ name }) => name === 'aged')?.oldestMs
    }
    const first = some(await age())
    // The frag grows older.
    while (some(await age()) <= first);
    frag.release()
    assert.equal(await age(), undefined)
    offer.close()
    await end(pool)
  })

  it('refuses a folder that others may enter', async () => {
    mkdirSync(folder)
    chmodSync(folder, 0o755)
    await assert.rejects(offerPools(), {
      code: 'NETMEM_POOLS_NOT_OFFERED',
      message: /this user alone/,
    })
    rmSync(folder, { recursive: true })
    writeFileSync(folder, '')
    await assert.rejects(offerPools(), { code: 'NETMEM_POOLS_NOT_OFFERED' })
    rmSync(folder)
  })
})

describe('offeredPools', { skip }, () => {
  it('believes no answer that it does not know', async () => {
    mkdirSync(folder, { mode: 0o700 })
    const answers = [
      '',
      'null\n',
      '{"pid":1}\n',
      '{"pid":1,"threadId":0,"program":"x","pools":[{"name":"x"}]}\n',
      `"${'x'.repeat(9 * 2 ** 20)}"`,
    ]
    const servers = await Promise.all(
      answers.map(async (answer, at) => {
        const server = net.createServer((socket) => {
          socket.on('error', () => undefined)
          socket.end(answer)
        })
        server.listen(join(folder, `${process.pid}-${at}.sock`))
        await once(server, 'listening')
        return server
      }),
    )
    const offers = await offeredPools()
    assert.deepEqual(
      offers.map(({ kind }) => kind),
      answers.map(() => 'failed'),
    )
    for (const server of servers) server.close()
  })

  it('does not wait for a process that is stopped', async () => {
    mkdirSync(folder, { mode: 0o700 })
    const server = net.createServer(() => undefined).listen(join(folder, '1-0.sock'))
    await once(server, 'listening')
    const [offer] = await offeredPools()
    assert.ok(offer?.kind === 'failed')
    assert.match(offer.reason, /no answer/)
    server.close()
  })

  it('lists nothing where no process ever offered', async () => {
    assert.deepEqual(await offeredPools(), [])
    assert.ok(!existsSync(folder))
  })
})
