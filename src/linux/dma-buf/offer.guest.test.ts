// A dma-buf in another process, which has no rights.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createDmaHeapBuffer, createUdmabuf, offerDmaBuf } from './index.ts'

const NOBODY = 65_534

async function inAnotherProcess(path: string, text: string, uid: number): Promise<unknown> {
  const child = fileURLToPath(new URL('./offer.test.worker.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [child, path, text], {
    uid,
    gid: uid,
  })
  return JSON.parse(stdout)
}

const exporters = [
  { exporter: 'udmabuf', make: () => createUdmabuf({ bytes: 2 ** 20 }) },
  { exporter: 'system', make: () => createDmaHeapBuffer({ bytes: 2 ** 20 }) },
]
for (const { exporter, make } of exporters) {
  it(`a process without rights writes to a dma-buf of ${exporter} that was passed to it`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'netmem-offer-'))
    chmodSync(folder, 0o755)
    const path = join(folder, 'offer.sock')
    using dmabuf = make()
    using mapping = dmabuf.map()
    const binding = { id: 3, ifindex: 2, queues: [1, 2] }
    const offer = await offerDmaBuf({ path, dmabuf, binding, uid: NOBODY })
    assert.deepEqual(await inAnotherProcess(path, 'hello', NOBODY), {
      exporter,
      bytes: 2 ** 20,
      binding,
    })
    const access = dmabuf.sync('read')
    assert.equal(Buffer.from(mapping.bytes.subarray(0, 5)).toString(), 'hello')
    access.end()
    await offer.close()
    assert.deepEqual(await inAnotherProcess(path, 'late', NOBODY), {
      code: 'NETMEM_DMABUF_NOT_OFFERED',
    })
    rmSync(folder, { recursive: true })
  })
}
