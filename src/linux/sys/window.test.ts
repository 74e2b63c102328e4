// Parts of files that come and go under views that stay.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  eventfd,
  ftruncate,
  memfdCreate,
  O_RDONLY,
  type OwnedFd,
  open,
  openMemoryWindow,
  read,
} from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const PAGE = 4096

function fileOf(pages: number): OwnedFd {
  const file = memfdCreate('netmem-window', 0)
  ftruncate(file.fd, pages * PAGE)
  return file
}

function firstByte({ fd }: OwnedFd): number {
  using again = open(`/proc/self/fd/${fd}`, O_RDONLY)
  const bytes = new Uint8Array(1)
  read(again.fd, bytes)
  return bytes[0] ?? -1
}

function mappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('memfd:netmem-window').length - 1
}

describe('openMemoryWindow', { skip }, () => {
  it('shows parts of files at any page, and hides them, under one view', () => {
    using one = fileOf(4)
    using other = fileOf(4)
    using window = openMemoryWindow(8 * PAGE)
    const { bytes } = window
    assert.ok(bytes.every((byte) => byte === 0))
    window.show(0, one.fd, 0, 4 * PAGE, true)
    window.show(4 * PAGE, other.fd, PAGE, 2 * PAGE, true)
    bytes.fill(7)
    assert.equal(firstByte(one), 7)
    assert.equal(firstByte(other), 0)
    window.show(7 * PAGE, other.fd, PAGE, PAGE, true)
    assert.equal(bytes[7 * PAGE], 7)
    window.hide(PAGE, 2 * PAGE)
    assert.equal(bytes[0], 7)
    assert.equal(bytes[PAGE], 0)
    assert.equal(bytes[3 * PAGE - 1], 0)
    assert.equal(bytes[3 * PAGE], 7)
    bytes.fill(9, PAGE, 3 * PAGE)
    window.show(PAGE, one.fd, PAGE, 2 * PAGE, true)
    assert.equal(bytes[PAGE], 7)
    window.hide(0, 8 * PAGE)
    assert.equal(mappings(), 0)
    assert.ok(bytes.every((byte) => byte === 0))
  })

  it('keeps writes to itself where it may not write', () => {
    using file = fileOf(1)
    using window = openMemoryWindow(PAGE)
    window.show(0, file.fd, 0, PAGE, false)
    window.bytes[0] = 5
    assert.equal(firstByte(file), 0)
  })

  it('refuses what would end the process', () => {
    using file = fileOf(2)
    using counter = eventfd(0, 0)
    using window = openMemoryWindow(4 * PAGE)
    const range = { code: 'NETMEM_OUT_OF_RANGE' }
    assert.throws(() => window.show(0, file.fd, 0, 3 * PAGE, true), range)
    assert.throws(() => window.show(0, file.fd, PAGE, 2 * PAGE, true), range)
    assert.throws(() => window.show(3 * PAGE, file.fd, 0, 2 * PAGE, true), range)
    assert.throws(() => window.show(1, file.fd, 0, PAGE, true), range)
    assert.throws(() => window.show(0, file.fd, 0, 100, true), range)
    assert.throws(() => window.show(-PAGE, file.fd, 0, PAGE, true), range)
    assert.throws(() => window.show(0, counter.fd, 0, PAGE, true), range)
    assert.throws(() => window.hide(0, 5 * PAGE), range)
    assert.throws(() => window.show(0, file.fd, 1, PAGE, true), { errno: 'EINVAL' })
    using readOnly = open(`/proc/self/fd/${file.fd}`, O_RDONLY)
    assert.throws(() => window.show(0, readOnly.fd, 0, PAGE, true), { errno: 'EACCES' })
    window.show(0, readOnly.fd, 0, PAGE, false)
    window.hide(0, PAGE)
    assert.equal(mappings(), 0)
  })
})
