// A machine without koffi, and one that is not Linux: each is a process of its own that is told so.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'

const entry = new URL('../index.js', import.meta.url).href
const sys = new URL('./index.js', import.meta.url).href

/** Runs a script in a process of its own that begins with `before`. Returns what it printed. */
function run(before: string, script: string): string {
  const source = `${before}
    const report = (error) => console.log(error.constructor.name, error.code, error.message)
    ${script}`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', source],
    { encoding: 'utf8' },
  )
  assert.equal(stderr, '')
  return stdout
}

const withoutKoffi = `
  import Module from 'node:module'
  const resolve = Module._resolveFilename
  Module._resolveFilename = (name, ...rest) => {
    if (name === 'koffi') throw Object.assign(new Error('not here'), { code: 'MODULE_NOT_FOUND' })
    return resolve(name, ...rest)
  }`
const elsewhere = (property: string, value: string): string =>
  `Object.defineProperty(process, '${property}', { value: '${value}' })`

describe('where system calls are not to be had', () => {
  const users = `
    const { hugeMemory, openFlowRules, openNetlink, wakeBatching } = await import('${entry}')
    await openNetlink().catch(report)
    await openNetlink({ netns: '/proc/self/ns/net' }).catch(report)
    await openFlowRules({ ifindex: 1 }).catch(report)
    await hugeMemory(1).catch(report)
    await wakeBatching().catch(report)`
  const calls = `
    const { eventfd, watch } = await import('${sys}')
    try { eventfd(0, 0) } catch (error) { report(error) }
    try { watch(0, 1) } catch (error) { report(error) }`
  for (const [name, before, message] of [
    [
      'without koffi',
      withoutKoffi,
      /through koffi, which is not installed: npm install koffi@3\. All else works without it\.$/,
    ],
    ['on another system', elsewhere('platform', 'darwin'), /and this is darwin\. All else works/],
    ['on another machine', elsewhere('arch', 'riscv64'), /and this is riscv64\. All else works/],
  ] as const) {
    it(`the error says what is missing (${name})`, () => {
      for (const [script, reports] of [
        [users, 5],
        [calls, 2],
      ] as const) {
        const lines = run(before, script).trim().split('\n')
        assert.equal(lines.length, reports)
        for (const line of lines) {
          assert.match(line, /^LinuxError NETMEM_LINUX_UNAVAILABLE /)
          assert.match(line, message)
        }
      }
    })
  }
})
