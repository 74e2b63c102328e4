// Files that a kernel's build options stand in.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'

import { kernelConfig } from './kernel-config.ts'

const TEXT = 'CONFIG_NET_DEVMEM=y\nCONFIG_UDMABUF=m\n# CONFIG_NETDEVSIM is not set\nCONFIG_HZ=250\n'

describe('kernelConfig', () => {
  for (const [path, bytes] of [
    ['proc/config.gz', gzipSync(TEXT)],
    ['boot/config-7.3.4', Buffer.from(TEXT)],
    ['usr/lib/modules/7.3.4/config', Buffer.from(TEXT)],
  ] as const) {
    it(`reads /${path}`, () => {
      const root = mkdtempSync(join(tmpdir(), 'netmem-config-'))
      try {
        mkdirSync(dirname(join(root, path)), { recursive: true })
        writeFileSync(join(root, path), bytes)
        assert.deepEqual(kernelConfig(root, '7.3.4'), new Set(['NET_DEVMEM', 'UDMABUF']))
        if (path.includes('7.3.4')) assert.equal(kernelConfig(root, '7.3.5'), undefined)
      } finally {
        rmSync(root, { recursive: true })
      }
    })
  }

  it('takes the next file where one is damaged', () => {
    const root = mkdtempSync(join(tmpdir(), 'netmem-config-'))
    try {
      for (const path of ['proc/config.gz', 'boot/config-7.3.4']) {
        mkdirSync(dirname(join(root, path)))
        writeFileSync(join(root, path), TEXT)
      }
      assert.ok(kernelConfig(root, '7.3.4')?.has('NET_DEVMEM'))
    } finally {
      rmSync(root, { recursive: true })
    }
  })
})
