// Drives the device of examples/pci-device.ts from user space, in the guest: its registers by mmap of the
// BARs, its DMA by a page whose physical address /proc/self/pagemap tells. A message-signalled interrupt
// is a write to memory, so here it goes to the same page, and no driver is needed.
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs'
import koffi from 'koffi'
import { Random } from '../../dist/random.js'

const PAGE = 4096
const libc = koffi.load(null)
const mmap = libc.func('int64_t mmap(uint64_t, size_t, int, int, int, int64_t)')
const mlock = libc.func('int mlock(uint64_t, size_t)')

/** Memory by words: a DataView would access it byte by byte. */
function mapped(fd, bytes, flags) {
  const address = mmap(0, bytes, 3, flags, fd, 0)
  assert.notEqual(address, -1)
  const words = new Uint32Array(koffi.view(address, bytes))
  const view = {
    getUint32: (at) => Atomics.load(words, at / 4),
    // Atomics.store would read the register as well.
    setUint32: (at, value) => {
      words[at / 4] = value
    },
  }
  return { address, view }
}

const devices = '/sys/bus/pci/devices'
const folder = readdirSync(devices)
  .map((name) => `${devices}/${name}`)
  .find((path) => readFileSync(`${path}/device`, 'utf8').trim() === '0x10ff')
assert.ok(folder !== undefined, 'the guest has no such device')
assert.equal(readFileSync(`${folder}/vendor`, 'utf8').trim(), '0x1b36')

// Memory accesses and bus mastering on, then MSI-X, whose capability is at 0x40.
const config = openSync(`${folder}/config`, 'r+')
function setConfig(at, value) {
  const bytes = new Uint8Array(2)
  new DataView(bytes.buffer).setUint16(0, value, true)
  assert.equal(writeSync(config, bytes, 0, 2, at), 2)
}
setConfig(0x04, 6)

const bar0 = mapped(openSync(`${folder}/resource0`, 'r+'), PAGE, 1).view
const bar1 = mapped(openSync(`${folder}/resource1`, 'r+'), PAGE, 1).view
bar0.setUint32(8, 1234)
assert.equal(bar0.getUint32(8), 1234)
bar0.setUint32(100, 0xfeedbeef)
assert.equal(bar0.getUint32(100), 0xfeedbeef)
console.log('registers')

const page = mapped(-1, PAGE, 0x22)
assert.equal(mlock(page.address, PAGE), 0)
page.view.setUint32(0, 1)
const pagemap = openSync('/proc/self/pagemap', 'r')
const entry = new BigUint64Array(1)
readSync(pagemap, entry, 0, 8, (Number(page.address) / PAGE) * 8)
closeSync(pagemap)
const physical = (entry[0] & ((1n << 55n) - 1n)) * BigInt(PAGE)
assert.notEqual(physical, 0n, 'pagemap hides the address')

/** Has the device invert bytes of the page, and returns how it ended. */
function invert(offset, bytes) {
  const address = physical + BigInt(offset)
  bar0.setUint32(0, Number(address & 0xffffffffn))
  bar0.setUint32(4, Number(address >> 32n))
  bar0.setUint32(8, bytes)
  bar0.setUint32(12, 1)
  return bar0.getUint32(12)
}

page.view.setUint32(256, 0x01020304)
assert.equal(invert(256, 4), 1)
assert.equal(page.view.getUint32(256), 0xfefdfcfb)
assert.equal(page.view.getUint32(260), 0)
console.log('memory')

// Vector 0 writes 0x4711 to byte 512 of the page.
const message = physical + 512n
bar1.setUint32(0, Number(message & 0xffffffffn))
bar1.setUint32(4, Number(message >> 32n))
bar1.setUint32(8, 0x4711)
setConfig(0x42, 0x8000)
bar1.setUint32(12, 0)
assert.equal(invert(256, 4), 1)
for (const end = Date.now() + 30_000; page.view.getUint32(512) !== 0x4711; ) {
  assert.ok(Date.now() < end, 'no interrupt came')
}
console.log('interrupt')

// Addresses that are no memory: the device says so, and continues.
for (const address of [0xfee0_0000n, 1n << 40n, (1n << 64n) - 8n]) {
  bar0.setUint32(0, Number(address & 0xffffffffn))
  bar0.setUint32(4, Number(address >> 32n))
  bar0.setUint32(12, 1)
  assert.equal(bar0.getUint32(12), 2)
}
assert.equal(invert(256, 4), 1)
console.log('faults')

// Anything, anywhere, and the same in each run: the device of the other process outlives it.
const random = new Random(7)
for (let round = 0; round < 2000; round++) {
  const at = random.below(1024) * 4
  const value = random.next()
  if (round % 3 === 0) bar0.getUint32(at)
  else if (at > 12) bar0.setUint32(at, value)
}
const times = []
for (let round = 0; round < 200; round++) {
  const start = process.hrtime.bigint()
  bar0.getUint32(16)
  times.push(Number(process.hrtime.bigint() - start) / 1000)
}
times.sort((one, other) => one - other)
console.log(
  `register read: median ${times[100].toFixed(0)} us, longest ${times[199].toFixed(0)} us`,
)
setConfig(0x42, 0)
