import assert from 'node:assert/strict'
import {
  AF_UNIX,
  connect,
  type OwnedFd,
  SOCK_STREAM,
  socket,
  unixAddress,
} from '../linux/sys/index.ts'

/** Connects to the Unix socket of a device, as QEMU does. */
export function connected(path: string): OwnedFd {
  const made = socket(AF_UNIX, SOCK_STREAM)
  const address = unixAddress(path)
  assert.ok(address !== undefined)
  connect(made.fd, address)
  return made
}
