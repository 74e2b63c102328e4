// The guest's kernel has what tests of device memory need, and answers the kernel's own tool.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

describe('the kernel', () => {
  it('is one of 7.3 or newer', () => {
    const [major = 0, minor = 0] = release().split('.').map(Number)
    assert.ok(major > 7 || (major === 7 && minor >= 3), release())
  })

  it('has devices that make dma-bufs', () => {
    for (const path of ['/dev/udmabuf', '/dev/dma_heap/system']) {
      assert.ok(statSync(path).isCharacterDevice(), path)
    }
  })

  it('has network interfaces for tests', () => {
    const names = readFileSync('/proc/net/dev', 'utf8')
    for (const name of ['lo', 'eth0']) assert.ok(names.includes(`${name}:`), names)
  })

  it('answers the netdev family: the kernel’s own tool lists its interfaces', () => {
    const source = process.env['NETMEM_KERNEL_SOURCE']
    assert.ok(source !== undefined)
    const tool = join(source, 'tools/net/ynl/pyynl/cli.py')
    const spec = join(source, 'Documentation/netlink/specs/netdev.yaml')
    const args = [tool, '--no-schema', '--spec', spec, '--dump', 'dev-get', '--output-json']
    const devices: unknown = JSON.parse(execFileSync('python3', args, { encoding: 'utf8' }))
    assert.ok(Array.isArray(devices))
    assert.ok(devices.some((device) => device.ifindex === 1))
    assert.ok(devices.length >= 2)
  })
})
