import assert from 'node:assert/strict'
import { it } from 'node:test'
import { tcpRmem } from './limits.ts'

it('netmem doctor takes the default of net.ipv4.tcp_rmem for enough, and less for little', () => {
  assert.equal(tcpRmem('4096\t131072\t6291456\n')?.status, 'ok')
  const little = tcpRmem('4096\t131072\t6291455\n')
  assert.equal(little?.status, 'warn')
  assert.match(little?.remedy ?? '', /sysctl -w net\.ipv4\.tcp_rmem="4096 131072 33554432"/)
  assert.equal(tcpRmem(undefined), undefined)
})
