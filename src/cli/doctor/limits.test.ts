import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { udmabufLimits } from './dma-bufs.ts'
import { tcpRmem } from './limits.ts'

it('netmem doctor takes the default of net.ipv4.tcp_rmem for enough, and less for little', () => {
  assert.equal(tcpRmem('4096\t131072\t6291456\n')?.status, 'ok')
  const little = tcpRmem('4096\t131072\t6291455\n')
  assert.equal(little?.status, 'warn')
  assert.match(little?.remedy ?? '', /sysctl -w net\.ipv4\.tcp_rmem="4096 131072 33554432"/)
  assert.equal(tcpRmem(undefined), undefined)
})

it('netmem doctor reads the limits of udmabufs, which newer kernels do not have', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-udmabuf-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const limits = (size: number): string[] => {
    writeFileSync(join(folder, 'size_limit_mb'), `${size}\n`)
    return udmabufLimits(folder).map(({ name, status, value }) => `${name}: ${status} ${value}`)
  }
  assert.deepEqual(udmabufLimits(folder), [])
  assert.deepEqual(limits(2 ** 31 - 1), ['udmabuf size_limit_mb: ok unlimited'])
  writeFileSync(join(folder, 'list_limit'), '1024\n')
  const list = 'udmabuf list_limit: ok 1024 pieces; netmem makes udmabufs of one'
  assert.deepEqual(limits(64), ['udmabuf size_limit_mb: warn a udmabuf has at most 64MiB', list])
  assert.match(udmabufLimits(folder)[0]?.remedy ?? '', /echo 1024 > .*size_limit_mb/)
  assert.deepEqual(limits(1024), ['udmabuf size_limit_mb: ok a udmabuf has at most 1GiB', list])
})
