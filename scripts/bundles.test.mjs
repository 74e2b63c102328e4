// Programs that were bundled run: with the scripts of netmem's threads beside them, and without.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'netmem-bundles-'))
after(() => rmSync(folder, { recursive: true, force: true }))
mkdirSync(join(folder, 'node_modules'))
symlinkSync(root, join(folder, 'node_modules/netmem'), 'dir')

// A body large enough to be hashed in a thread where there is one.
const getter = `
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { getInto } from 'netmem/http'

const body = Buffer.alloc(17 * 1024 * 1024, 'netmem')
const server = createServer((_request, response) => response.end(body))
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  const { sha256 } = await getInto(\`http://127.0.0.1:\${port}/\`, new Uint8Array(body.length), { sha256: true })
  console.log(sha256 === createHash('sha256').update(body).digest('hex') ? 'hashed' : 'wrong')
  server.close()
  process.exit()
})
`
const device = `
import { openDeviceThread } from 'netmem/stack'

openDeviceThread().then(
  async (device) => {
    const dmabuf = await (await device.openMemory(4096)).exportDmaBuf({ bytes: 4096 })
    await device.write(dmabuf, 0, Uint8Array.of(97, 98, 99))
    console.log((await device.hash(dmabuf, [{ offset: 0, length: 3 }])).slice(0, 8))
    await device.close()
  },
  (error) => console.log(error.code, error.message),
)
`
const workers = [
  { in: 'netmem/http/hash.worker', out: 'hash.worker' },
  { in: 'netmem/stack/device.worker', out: 'device.worker' },
]

async function bundled(name, program, format, entries) {
  writeFileSync(join(folder, 'app.mjs'), program)
  const outdir = join(folder, name)
  await build({
    entryPoints: [{ in: join(folder, 'app.mjs'), out: 'app' }, ...entries],
    absWorkingDir: folder,
    bundle: true,
    platform: 'node',
    format,
    external: ['koffi'],
    outExtension: format === 'esm' && entries.length === 0 ? { '.js': '.mjs' } : {},
    outdir,
    logLevel: 'silent',
  })
  if (format === 'esm') writeFileSync(join(outdir, 'package.json'), '{ "type": "module" }')
  const file = format === 'esm' && entries.length === 0 ? 'app.mjs' : 'app.js'
  const { stdout } = await run(process.execPath, [join(outdir, file)])
  return stdout.trim()
}

for (const format of ['esm', 'cjs']) {
  test(`a bundle without the thread's script hashes in place (${format})`, async () => {
    assert.equal(await bundled(`get-${format}`, getter, format, []), 'hashed')
  })

  test(`a bundle without the device's script says what to do (${format})`, async () => {
    const said = await bundled(`device-${format}`, device, format, [])
    assert.match(said, /^NETMEM_DEVICE_CLOSED .*netmem\/stack\/device\.worker.*`script`\.$/)
    if (format === 'esm') assert.match(said, /missing: .*device\.worker\.js\. /)
  })
}

test('a bundle with the scripts beside it has its threads', async () => {
  assert.equal(await bundled('get-threads', getter, 'esm', workers), 'hashed')
  assert.equal(await bundled('device-threads', device, 'esm', workers), 'ba7816bf')
})
