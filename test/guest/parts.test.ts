// Parts of a guest, without a guest: archives, modules, and verdicts on the kernel's log.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cpio } from './cpio.ts'
import { judge } from './kernel-log.ts'
import { dependencies } from './modules.ts'

describe('cpio', () => {
  it('has headers and contents at multiples of four bytes, and a trailer', () => {
    const archive = cpio([
      { path: 'bin' },
      { path: 'bin/one', bytes: Buffer.from('12345'), executable: true },
    ])
    const members: (readonly [path: string, mode: string, content: string])[] = []
    let at = 0
    while (at < archive.length) {
      assert.equal(archive.toString('latin1', at, at + 6), '070701')
      // The kernel reads 13 fields of eight digits: mode is the second, size the seventh.
      const field = (index: number) => archive.toString('latin1', at + 6 + 8 * index).slice(0, 8)
      const size = Number.parseInt(field(6), 16)
      const nameEnd = at + 110 + Number.parseInt(field(11), 16)
      const start = (nameEnd + 3) & ~3
      const path = archive.toString('latin1', at + 110, nameEnd - 1)
      members.push([path, field(1), archive.toString('latin1', start, start + size)])
      at = (start + size + 3) & ~3
    }
    assert.deepEqual(members, [
      ['bin', '000041ed', ''],
      ['bin/one', '000081ed', '12345'],
      ['TRAILER!!!', '00000000', ''],
    ])
  })
})

describe('dependencies', () => {
  it('are those of .modinfo', () => {
    const module = (text: string) => Buffer.from(`\x7fELF\0license=GPL\0${text}\0name=x\0`)
    assert.deepEqual(dependencies(module('depends=9pnet,netfs')), ['9pnet', 'netfs'])
    assert.deepEqual(dependencies(module('depends=')), [])
    assert.deepEqual(dependencies(module('alias=depends')), [])
  })
})

describe('judge', () => {
  const begun = '<14>[    6.1] netmem: the script begins'

  it('takes a quiet log for one', () => {
    const log = [
      '<5>[    0.000000] Linux version 7.3.4+deb13-amd64',
      '<6>[    0.000000] clocksource: refined-jiffies: mask: 0xffffffff',
      '<4>[    0.120000] ACPI: a firmware that is odd',
      begun,
      '<6>[    7.200000] gve 0000:00:04.0: GVE version 1.0.0',
      '<12>[    7.300000] a program writes to the log',
    ].join('\n')
    assert.deepEqual(judge(log), { faults: [], starved: [] })
  })

  for (const fault of [
    '<4>[    2.1] WARNING: net/core/page_pool.c:1034 at page_pool_put_unrefed_netmem+0x1/0x2, CPU#1: node/33',
    '<1>[    2.1] BUG: kernel NULL pointer dereference, address: 0000000000000008',
    '<4>[    2.1][   T33] Oops: Oops: 0000 [#1] SMP PTI',
    '<3>[    2.1] refcount_t: underflow; use-after-free.',
    '<3>[    2.1] INFO: task node:33 blocked for more than 120 seconds.',
    '<0>[    2.1] Kernel panic - not syncing: sysrq triggered crash',
  ]) {
    it(`finds a fault before the script too: ${fault.slice(11, 50)}`, () => {
      const { faults, starved } = judge(`${fault}\n${begun}`)
      assert.equal(faults.length, 1)
      assert.deepEqual(starved, [])
      // The console shows no levels.
      assert.equal(judge(fault.slice(3)).faults.length, 1)
    })
  }

  it('finds every warning of the kernel during the script', () => {
    const log = `${begun}\n<4>[    9.1] page_pool_release_retry() stalled pool shutdown: id 7, 1 inflight 60 sec`
    assert.equal(judge(log).faults.length, 1)
  })

  it('tells a starved host from a fault, with the whole report', () => {
    const log = [
      begun,
      '<4>[   66.0] clocksource: timekeeping watchdog on CPU1: Marking clocksource tsc as unstable',
      '<3>[   99.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
      '<3>[   99.0] rcu: \t1-...!: (0 ticks this GP) idle=1234/0/0x0',
      '<4>[   99.0] Sending NMI from CPU 0 to CPUs 1:',
      '<4>[   99.0] NMI backtrace for cpu 1',
      '<4>[   99.0] CPU: 1 UID: 0 PID: 0 Comm: swapper/1 Not tainted 7.3.4+deb13-amd64',
      '<4>[   99.0] RIP: 0010:pv_native_safe_halt+0xf/0x20',
      '<4>[   99.0] Call Trace:',
      '<4>[   99.0]  <TASK>',
      '<4>[   99.0]  default_idle+0x9/0x10',
      '<4>[  100.0] workqueue: psi_avgs_work hogged CPU for >10000us 4 times',
    ]
    const { faults, starved } = judge(log.join('\n'))
    assert.deepEqual(faults, [])
    assert.equal(starved.length, 3)
    log.push('<4>[  101.0] WARNING: net/core/dev.c:1 at f+0x1/0x2, CPU#0: node/3')
    assert.equal(judge(log.join('\n')).faults.length, 1)
  })

  it('takes a warning that is expected for none, there alone', () => {
    const warning = (where: string) => [
      '<4>[    8.0] ------------[ cut here ]------------',
      `<4>[    8.0] WARNING: ${where} at f+0x1/0x2, CPU#0: node/3`,
      '<4>[    8.0] Call Trace:',
      '<4>[    8.0] ---[ end trace 0000000000000000 ]---',
    ]
    const expecting = '<12>[    7.0] netmem: a warning is expected'
    const expected = '<12>[    9.0] netmem: no further warning is expected'
    const faults = (lines: readonly string[], tainted = 512) =>
      judge([begun, ...lines].join('\n'), tainted, /a\.c:1/).faults
    assert.deepEqual(faults([expecting, ...warning('a.c:1'), expected]), [])
    assert.deepEqual(faults([expecting, ...warning('a.c:1'), expected], 513), [
      'The kernel is tainted: 1',
    ])
    assert.equal(faults([expecting, expected], 0).length, 1)
    const line = '<3>[    8.0] driver: a.c:1 is out of range'
    assert.deepEqual(faults([expecting, line, line, expected], 0), [])
    assert.equal(faults([expecting, line, expected, line], 0).length, 1)
    for (const other of [
      [expecting, ...warning('a.c:1'), ...warning('b.c:1'), expected],
      [...warning('a.c:1'), expecting, ...warning('a.c:1'), expected],
      [expecting, ...warning('a.c:1'), expected, ...warning('a.c:1')],
    ]) {
      assert.equal(faults(other).length, 4)
    }
  })

  it('takes a taint for a fault', () => {
    assert.deepEqual(judge(begun, 512).faults, ['The kernel is tainted: 512'])
  })
})
