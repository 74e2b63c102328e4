import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { isFields } from '../errors.ts'
import { inside, jsonOf, MAIN, netmem, Running, run, runInTurn } from './cli.test.helper.ts'

const noFull = existsSync('/dev/full') ? false : 'there is no /dev/full'

const COMMANDS = ['demo', 'get', 'recv', 'send', 'iperf3', 'replay', 'doctor']

describe('netmem', () => {
  it('has help with examples and exit codes everywhere', async () => {
    const paths = [[], ...COMMANDS.map((command) => [command])]
    const helps = await runInTurn(paths.map((path) => [...path, '--help']))
    for (const { code, out, err } of helps) {
      assert.deepEqual([code, err], [0, ''])
      assert.match(out.toString(), /^Examples?:\n {2}\$ /m)
      assert.match(out.toString(), /^Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}130 /m)
    }
    for (const command of COMMANDS) {
      assert.match(helps[0]?.out.toString() ?? '', new RegExp(`^ {2}${command} `, 'm'))
    }
  })

  it('knows its version', async () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    const manifest: unknown = JSON.parse(text)
    assert.ok(isFields(manifest))
    const { code, out } = await run(['--version'])
    assert.deepEqual([code, out.toString()], [0, `${manifest['version']}\n`])
  })

  it('answers wrong usage with one line and exit code 2', async () => {
    const wrong = [['recive'], ['recv', '--fast'], ['recv', 'file'], ['demo', '--rounds', '0']]
    for (const { code, out, err } of await runInTurn(wrong)) {
      assert.deepEqual([code, out.length], [2, 0])
      assert.match(err, /^netmem: USAGE: .+; see netmem.* --help\n$/)
    }
    const line = jsonOf(await run(['recv', 'file', '--json']))
    assert.deepEqual([line['command'], line['exitCode']], ['recv', 2])
    assert.match(String(inside(line, 'error')['message']), /; see netmem recv --help$/)
    const { code, out, err } = await run([])
    assert.deepEqual([code, out.length], [2, 0])
    assert.match(err, /^Usage: netmem/)
  })

  it('ends quietly where no process reads its output', async () => {
    const help = netmem('doctor')
    help.child.stdout.destroy()
    const { code, err } = await help.ended
    assert.deepEqual([code, err], [0, ''])
  })

  it('says in one line that its stdout is full', { skip: noFull }, async () => {
    const commands = [['doctor'], ['doctor', '--json'], ['--help']]
    const ends = commands.map(
      (args) =>
        new Running('sh', ['-c', '"$0" "$@" > /dev/full', process.execPath, MAIN, ...args]).ended,
    )
    for (const { code, err } of await Promise.all(ends)) {
      assert.equal(code, 1)
      assert.match(err, /^netmem: ENOSPC: stdout: no space left [^\n]+\n$/)
    }
  })

  it('shows a stack where NODE_DEBUG asks for it, and only there', async () => {
    const args = ['send', '127.0.0.1:1', '--bytes', '1B']
    assert.match((await run(args)).err, /^netmem: NETMEM_CONNECT_FAILED: [^\n]+\n$/)
    process.env['NODE_DEBUG'] = 'netmem'
    const { err } = await run(args)
    delete process.env['NODE_DEBUG']
    assert.match(err, /NETMEM \d+: .*ConnectionError[\s\S]*\n +at /)
  })
})
