// Descriptors that are dropped. They are collected by hand: the tests run with --expose-gc.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { it } from 'node:test'
import { turns } from '../../testing/waiting.test.helper.ts'
import { dup, eventfd, type FdLeakReport, isFd, OwnedFd, write } from './index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

/** An application of its own: what is beside this file counts as the package's. */
const applicationUrl = `data:text/javascript,${encodeURIComponent(`
  export function openInApplication(open) {
    return open().fd
  }
`)}`

async function collect(): Promise<void> {
  for (let rounds = 0; rounds < 3; rounds++) {
    globalThis.gc?.()
    await turns()
  }
}

it('a descriptor that is dropped is reported with who opened it, and stays open', {
  skip,
}, async () => {
  const { openInApplication } = await import(applicationUrl)
  const reports: FdLeakReport[] = []
  const listen = (report: unknown): void => void reports.push(report as FdLeakReport)
  subscribe('netmem:leak', listen)
  const fd = openInApplication(() => eventfd(0, 0))
  assert.ok(isFd(fd))
  eventfd(0, 0).close()
  const kept = eventfd(0, 0)
  await collect()
  unsubscribe('netmem:leak', listen)
  assert.equal(reports.length, 1)
  const [report] = reports
  assert.deepEqual({ ...report, stack: '' }, { kind: 'fd', fd, label: 'event counter', stack: '' })
  assert.match(report?.stack ?? '', /^ {4}at (Module\.)?openInApplication \(data:/)
  assert.equal(write(fd, new BigUint64Array([1n])), 8)
  new OwnedFd(fd, 'again').close()
  kept.close()
})

it('without a listener it is a warning of the process', { skip }, async () => {
  const warned = once(process, 'warning')
  const fd = (() => eventfd(0, 0).fd)()
  await collect()
  const [warning] = await warned
  assert.equal(warning.name, 'NetmemWarning')
  assert.equal(warning.code, 'netmem:leak')
  assert.match(warning.message, new RegExp(`Descriptor ${fd} \\(event counter\\) was dropped`))
  new OwnedFd(fd, 'again').close()
})

it('what was released or closed is not reported, and a double close is an error', {
  skip,
}, async () => {
  const reports: unknown[] = []
  const listen = (report: unknown): void => void reports.push(report)
  subscribe('netmem:leak', listen)
  const fd = eventfd(0, 0).release()
  const one = new OwnedFd(fd, 'one')
  const two = new OwnedFd(fd, 'two')
  one.close()
  assert.throws(() => two.close(), { errno: 'EBADF', syscall: 'close' })
  assert.throws(() => dup(fd), { errno: 'EBADF', syscall: 'fcntl' })
  assert.throws(() => one.release(), { code: 'NETMEM_FD_CLOSED' })
  await collect()
  unsubscribe('netmem:leak', listen)
  assert.deepEqual(reports, [])
})
