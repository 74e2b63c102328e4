// A driver that means harm, from user space, in the guest: it maps the BARs of a card that no driver of
// the kernel has, and has its rings in a huge page, which is one piece of physical memory.
import assert from 'node:assert/strict'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import koffi from 'koffi'
import { HostileDriver } from '../../dist/gvnic/testing/hostile-driver.test.helper.js'
import { frame, pattern } from '../../dist/stack/device/nic/frames.test.helper.js'

const ACTS = 500
const PAGE = 4096
const HUGE_PAGE = 2 ** 21
/** The card is told to write this far behind the end of the memory, which is in the huge page still. */
const BEHIND = 2 ** 18
const MAP_SHARED = 1
const MAP_PRIVATE_ANONYMOUS_HUGETLB = 0x4_0022

const libc = koffi.load(null)
const mmap = libc.func('int64_t mmap(uint64_t, size_t, int, int, int, int64_t)')
const mlock = libc.func('int mlock(uint64_t, size_t)')

function mapped(fd, bytes, flags) {
  const address = mmap(0, bytes, 3, flags, fd, 0)
  assert.notEqual(Number(address), -1)
  return { address, buffer: koffi.view(address, bytes) }
}

const folder = `/sys/bus/pci/devices/${process.argv[2]}`
const config = openSync(`${folder}/config`, 'r+')
// Memory accesses and bus mastering.
assert.equal(writeSync(config, Uint8Array.of(6, 0), 0, 2, 4), 2)
const bars = new Map(
  [0, 2].map((bar) => {
    const { buffer } = mapped(openSync(`${folder}/resource${bar}`, 'r+'), PAGE, MAP_SHARED)
    return [
      bar,
      { 1: new Uint8Array(buffer), 2: new Uint16Array(buffer), 4: new Uint32Array(buffer) },
    ]
  }),
)

/** The card, by registers. Each access is one of the processor's, of the same size. */
const card = {
  attach() {},
  detach() {},
  reset() {},
  read: (bar, offset, bytes) => Atomics.load(bars.get(bar)[bytes], offset / bytes),
  write(bar, offset, bytes, value) {
    bars.get(bar)[bytes][offset / bytes] = value
  },
}

const { address, buffer } = mapped(-1, HUGE_PAGE, MAP_PRIVATE_ANONYMOUS_HUGETLB)
assert.equal(mlock(address, HUGE_PAGE), 0)
const memory = new Uint8Array(buffer, 0, HUGE_PAGE - BEHIND)
memory[0] = 1
const pagemap = openSync('/proc/self/pagemap', 'r')
const entry = new BigUint64Array(1)
readSync(pagemap, entry, 0, 8, (Number(address) / PAGE) * 8)
closeSync(pagemap)
const base = Number(entry[0] & ((1n << 55n) - 1n)) * PAGE
assert.notEqual(base, 0, 'pagemap hides the address')

const hostile = new HostileDriver(card, {
  seed: 7,
  ram: { base, memory },
  // No memory: interrupts, the firmware, and what is beyond all memory of this guest.
  strays: [0xfee0_0000, 0xfff0_0000, 2 ** 40, 2 ** 53, 2 ** 64 - 4096],
  frames: [frame({ payload: pattern(60) }), frame({ payload: pattern(1400) })],
})
while (hostile.acts < ACTS) hostile.act()
hostile.restart().admin.release()
console.log('harm done')
