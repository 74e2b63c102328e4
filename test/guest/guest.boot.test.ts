// Guests that end in every way. Each test boots one.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'
import { GuestError, runInGuest } from './guest.ts'

function folders(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => /^netmem-(guest|probe)-/.test(name))
}

describe('runInGuest', () => {
  it('has exit code, output and files, on the host’s root, which stays as it is', async (t) => {
    const before = folders()
    let shown = ''
    const seen = new Map<string, number>()
    const run = await runInGuest(
      `set -e
      echo begun
      node -p '"first line of JavaScript"'
      node -p 'process.execPath'
      test "$SAID" = "it's so"
      test -f "$CHECKOUT/package.json"
      ! touch "$CHECKOUT/x" "$HOME/x" 2>/dev/null
      cp given/name.txt back.bin
      ls /sys/class/net
      echo error >&2
      exit 7`,
      {
        files: { 'given/name.txt': 'content' },
        network: [{ kind: 'virtio' }],
        environment: { SAID: "it's so" },
        onOutput: (bytes) => {
          shown += bytes.toString()
          for (const line of shown.split('\n')) {
            if (!seen.has(line)) seen.set(line, performance.now())
          }
        },
      },
    )
    assert.equal(run.exitCode, 7, run.output)
    const lines = ['begun', 'first line of JavaScript', process.execPath, 'eth0', 'lo', 'error']
    assert.deepEqual(run.output.trim().split('\n'), lines)
    assert.equal(shown, run.output)
    assert.deepEqual([...run.files].map(([path, bytes]) => [path, bytes.toString()]).sort(), [
      ['back.bin', 'content'],
      ['given/name.txt', 'content'],
    ])
    const later = (seen.get(lines[1] ?? '') ?? 0) - (seen.get('begun') ?? 0)
    assert.ok(run.bootMs > 0 && later > 0)
    const javaScriptMs = (run.bootMs + later).toFixed(0)
    t.diagnostic(`${run.accelerator}: JavaScript ${javaScriptMs} ms after power on`)
    assert.deepEqual(folders(), before)
  })

  it('says that a guest did not boot, and what its console showed last', async () => {
    await assert.rejects(runInGuest('', { memoryMiB: 64 }), (error) => {
      assert.ok(error instanceof GuestError)
      assert.notEqual(error.reason, 'no end')
      assert.match(error.message, /console of the guest\n|kernel says:\n/)
      return true
    })
  })

  it('ends a guest that never ends by itself', async () => {
    await assert.rejects(runInGuest('echo begun; sleep 1000', { timeoutMs: 1000 }), (error) => {
      assert.ok(error instanceof GuestError)
      assert.equal(error.reason, 'no end')
      assert.match(error.message, /did not end within 1000 ms/)
      assert.equal(error.output, 'begun\n')
      return true
    })
  })

  it('takes a kernel that crashes for a failure', async () => {
    await assert.rejects(runInGuest('echo c >/proc/sysrq-trigger'), (error) => {
      assert.ok(error instanceof GuestError)
      assert.equal(error.reason, 'kernel')
      assert.match(error.message, /sysrq triggered crash/)
      return true
    })
  })

  it('names a module that is not there', async () => {
    const before = folders()
    await assert.rejects(runInGuest('', { modules: ['netmem_none'] }), /no module netmem_none/)
    assert.deepEqual(folders(), before)
  })
})
