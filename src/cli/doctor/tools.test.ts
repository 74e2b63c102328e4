import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../cli.test.helper.ts'
import { toolFindings } from './tools.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const path = temporaryFolder()
const NAME = `qemu-system-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`

/** Returns the finding about QEMU where its program is this script of the shell. */
function withQemu(script: string): ReturnType<typeof toolFindings>[number] | undefined {
  writeFileSync(path(NAME), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return toolFindings(`/none-such:${path('.')}`).find(({ name }) => name === NAME)
}

describe('netmem doctor asks QEMU', { skip }, () => {
  it('whether it has vfio-user, for the cards of netmem gvnic', () => {
    const has = withQemu(`case $1 in
      --version) echo 'QEMU emulator version 11.1.3 (Debian 1:11.1.3)' ;;
      *) echo "$4 options:"; echo '  socket=<SocketAddress> - SocketAddress' ;;
    esac`)
    assert.equal(has?.status, 'ok')
    assert.match(has.value, /^11\.1\.3; it runs guests with the cards of `netmem gvnic`/)
  })

  it('and names a newer one where it has not, or is not there', () => {
    const old = withQemu("[ $1 = --version ] && echo 'QEMU emulator version 10.0.2'")
    assert.equal(old?.status, 'warn')
    assert.match(old.value, /^10\.0\.2, without vfio-user-pci; .*netmem gvnic/)
    assert.match(old.remedy ?? '', /10\.1 or newer/)
    assert.equal(withQemu('exit 1')?.status, 'warn')
    const none = toolFindings('/none-such').find(({ name }) => name === NAME)
    assert.equal(none?.status, 'missing')
    assert.match(none.remedy ?? '', /10\.1 or newer: apt-get install qemu-system/)
  })
})
