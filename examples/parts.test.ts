/** Checks the examples that build parts of netmem, and those that must not compile. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createPool, type Page, sharedProvider } from 'netmem'
import { createGenerator } from 'netmem/stack/link'
import { driverConformance } from 'netmem/stack/testing'
import { FrameLayout, parseFrame } from 'netmem/stack/wire'
import { providerConformance } from 'netmem/testing'
import { OwnDriver } from './own-driver.ts'
import { lazyProvider } from './own-provider.ts'
import { withProgram } from './programs.test.helper.ts'

providerConformance('own-provider.ts', () => lazyProvider(64, 4096))

test('own-provider.ts says what it has', async () => {
  await withProgram('own-provider.js', [], async (program) => {
    assert.equal(await program.line(), 'one page of 65536 bytes, of 4096')
  })
})

driverConformance('own-driver.ts', async (nic, deliver) => {
  const pools = [0, 1].map(() => createPool(sharedProvider({ pages: 40, pageSize: 4096 })))
  const drivers: OwnDriver[] = []
  const closeAll = async (): Promise<void> => {
    for (const driver of drivers) await driver.close()
  }
  try {
    for (const [queue, pool] of pools.entries()) {
      drivers.push(await OwnDriver.open(nic, queue, pool, pool.share().buffer))
    }
  } catch (error) {
    await closeAll()
    assert.ok(pools.every((pool) => pool.out === 0))
    throw error
  }
  return {
    poll: () => {
      for (const [queue, driver] of drivers.entries()) {
        driver.poll((pieces: Uint8Array[], pages: Page[]) => {
          const free = (): void => {
            for (const page of pages) pools[queue]?.put(page)
          }
          deliver({ queue, frame: Buffer.concat(pieces), free })
        })
      }
    },
    close: closeAll,
    out: () => pools.reduce((sum, pool) => sum + pool.out, 0),
  }
})

const stackPage = readFileSync('docs/stack.md', 'utf8')

test('docs/stack.md quotes device-memory.ts', () => {
  const [, program] = readFileSync('examples/device-memory.ts', 'utf8').split(' */\n\n')
  assert.ok(program !== undefined && stackPage.includes(`\`\`\`ts\n${program}\`\`\`\n`))
})

test('device-memory.ts hashes on the device what it cannot read', async () => {
  const link = createGenerator({ totalBytes: 65_536, handshake: true })
  const sent = createHash('sha256')
  const layout = new FrameLayout()
  for (let frame = link.receive(0); frame !== undefined; frame = link.receive(0)) {
    const { memory, offset, length } = frame
    parseFrame(memory.bytes, offset, length, layout)
    const from = offset + layout.headerLength
    sent.update(memory.bytes.subarray(from, from + layout.payloadLength))
  }
  await withProgram('device-memory.js', [], async (program) => {
    assert.equal(await program.line(), '27512 bytes in pages, 38024 in device memory')
    assert.equal(await program.line(), `sha256 ${sent.digest('hex')}`)
    assert.equal(await program.line(), '0 pages out')
  })
})

test('programs in refused/ do not compile', () => {
  const tsc = fileURLToPath(import.meta.resolve('typescript/package.json'))
  const { stdout, status } = spawnSync(
    process.execPath,
    [join(tsc, '../bin/tsc'), '-p', 'examples/refused/tsconfig.json', '--pretty', 'false'],
    { encoding: 'utf8' },
  )
  assert.notEqual(status, 0)
  const answers = stdout.split('\n').filter((line) => line.includes(': error '))
  const places = answers.map((line) =>
    /([\w-]+)\.ts\((\d+),\d+\): error (TS\d+)/.exec(line)?.slice(1),
  )
  assert.deepEqual(places, [
    ['read-device-memory', '12', 'TS2741'],
    ['read-device-memory', '16', 'TS2322'],
    ['read-device-memory', '20', 'TS2538'],
    ['read-device-memory', '23', 'TS2322'],
    ['read-device-memory', '26', 'TS2339'],
    ['reuse-page', '20', 'TS2345'],
    ['reuse-page', '21', 'TS2345'],
    ['reuse-page', '22', 'TS2345'],
  ])
  const [device, reuse] = stdout.split(/^(?=\S+reuse-page\.ts\(20)/m)
  assert.ok(stackPage.includes(device ?? stdout), 'docs/stack.md quotes another answer')
  const sharingPage = readFileSync('docs/sharing.md', 'utf8')
  assert.ok(sharingPage.includes(reuse ?? stdout), 'docs/sharing.md quotes another answer')
})
