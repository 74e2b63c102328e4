// apt's answers, from a program in its place: what is said of them, and what is tried again.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, it } from 'node:test'
import { expired } from './apt.ts'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const skip = existsSync(KEYRING) ? false : 'needs the package debian-archive-keyring'
const EXPIRED =
  'Release file for http://mirror/dists/sid/InRelease is expired (invalid since 3d 1h)'

/** Asks for a package's version with `answers`, a script of the shell, in the place of apt. */
function ask(answers: string): { readonly said: string; readonly calls: readonly string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-apt-'))
  try {
    mkdirSync(join(folder, 'bin'))
    const script = `#!/bin/sh\necho "$*" >>"${folder}/calls"\ncase "$*" in\n${answers}\nesac\n`
    // apt's programs are run by flock.
    writeFileSync(join(folder, 'bin/flock'), script, { mode: 0o755 })
    const url = JSON.stringify(new URL('./apt.js', import.meta.url))
    const program = `import { candidate } from ${url}; console.log(await candidate('one'))`
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', program],
      {
        encoding: 'utf8',
        env: {
          ...process.env,
          PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
          XDG_CACHE_HOME: folder,
        },
      },
    )
    return { said: stdout + stderr, calls: readFileSync(join(folder, 'calls'), 'utf8').split('\n') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const policy = "*policy*) printf 'one:\\n  Installed: (none)\\n  Candidate: 1:2.3-4\\n';;"

describe('apt', { skip }, () => {
  it('says which version a package has', () => {
    const { said, calls } = ask(policy)
    assert.equal(said, '1:2.3-4\n')
    assert.equal(calls.filter((call) => call.includes(' update ')).length, 1)
  })

  it('is tried once without the date of a Release file that has expired, which is named', () => {
    const { said, calls } = ask(
      `*Check-Valid-Until=false*) ;;\n*' update '*) echo 'E: ${EXPIRED}.' >&2; exit 100;;\n${policy}`,
    )
    assert.equal(said, `1:2.3-4\n${EXPIRED}. Trying once without its date.\n`)
    assert.equal(calls.filter((call) => call.includes(' update ')).length, 2)
  })

  it('fails with what was not to be had', () => {
    const noNetwork = "*' update '*) echo 'E: Could not resolve the mirror' >&2; exit 100;;"
    assert.match(
      ask(noNetwork).said,
      /cannot fetch the lists of packages.*Could not resolve the mirror/,
    )
    assert.match(ask('*) ;;').said, /trixie-backports of Debian have no package one\./)
  })
})

it('expired() finds a date that has passed or is to come', () => {
  assert.equal(expired(`E: ${EXPIRED}. Updates for this repository will not be applied.`), EXPIRED)
  const early = 'Release file for http://mirror/InRelease is not valid yet (invalid for another 2h)'
  assert.equal(expired(`E: ${early}.`), early)
  assert.equal(expired('E: Could not resolve host'), undefined)
})
