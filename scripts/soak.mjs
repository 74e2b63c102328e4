// npm run soak [-- --quick]: loops that look for what is left behind, on the host and in the guest.
// `--quick` is the CI's share: tests that exist for this alone, at their usual length, on the host.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Factors by which the loops are longer: on the host, and in the guest, where all is slower. */
const LONGER = { host: 20, guest: 2 }

const quick = process.argv.includes('--quick')
const root = fileURLToPath(new URL('..', import.meta.url))

function run(script, longer) {
  const { status, error } = spawnSync(process.execPath, [script, '--soak'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NETMEM_SOAK: String(longer) },
  })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

run('scripts/test.mjs', quick ? 1 : LONGER.host)
if (!quick) run('build/test/guest/suite.js', LONGER.guest)
