// Places of Unix sockets: who gets one, and what a refusal says.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { boundUnixSocket, listen, SOCK_SEQPACKET, SOCK_STREAM } from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const folder = mkdtempSync(join(tmpdir(), 'netmem-place-'))
after(() => rmSync(folder, { recursive: true }))

describe('boundUnixSocket', { skip }, () => {
  it('replaces a socket that no process listens on, and no other', () => {
    const path = join(folder, 'a.sock')
    for (const type of [SOCK_STREAM, SOCK_SEQPACKET, SOCK_STREAM]) {
      using left = boundUnixSocket(path, type)
      listen(left.fd, 1)
      assert.throws(() => boundUnixSocket(path, type), {
        code: 'NETMEM_SYSCALL_FAILED',
        errno: 'EADDRINUSE',
        message: /bind \(.*a\.sock\).*Another program/,
      })
    }
    // A socket of another type is not known to be left.
    using bare = boundUnixSocket(path, SOCK_STREAM)
    assert.throws(() => boundUnixSocket(path, SOCK_SEQPACKET), { errno: 'EADDRINUSE' })
    assert.ok(bare.open && existsSync(path))
  })

  it('leaves a file alone, and says which place cannot be had', () => {
    const file = join(folder, 'file')
    writeFileSync(file, 'kept')
    const message = (path: string) => ({ message: new RegExp(`bind \\(${path}\\)`) })
    assert.throws(() => boundUnixSocket(file, SOCK_STREAM), message(file))
    assert.ok(existsSync(file))
    const missing = join(folder, 'none', 'b.sock')
    assert.throws(() => boundUnixSocket(missing, SOCK_STREAM), message(missing))
    assert.throws(() => boundUnixSocket(join(file, 'c.sock'), SOCK_STREAM), { errno: 'ENOTDIR' })
    for (const path of ['', `/${'x'.repeat(107)}`]) {
      assert.throws(() => boundUnixSocket(path, SOCK_STREAM), { code: 'NETMEM_OUT_OF_RANGE' })
    }
  })
})
