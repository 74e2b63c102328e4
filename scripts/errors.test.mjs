// docs/errors.md has every code that a layer declares, with its class, and no other.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Project } from 'ts-morph'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Codes with their classes, as every `interface ErrorCodes` of the sources declares them. */
function declared() {
  const project = new Project({ skipAddingFilesFromTsConfig: true })
  // Names files by the sources, since an earlier build leaves other files in dist/.
  const sources = readdirSync(join(root, 'src'), { recursive: true }).filter(
    (path) => path.endsWith('.ts') && !path.includes('.test.'),
  )
  return sources
    .map((path) => join(root, 'src', path))
    .filter((path) => /\binterface\s+ErrorCodes\b/.test(readFileSync(path, 'utf8')))
    .map((path) => project.addSourceFileAtPath(path))
    .flatMap((source) => [source, ...source.getModules()])
    .flatMap((scope) => scope.getInterface('ErrorCodes')?.getProperties() ?? [])
    .map((code) => `${code.getName()} ${code.getTypeNodeOrThrow().getText().slice(1, -1)}`)
    .sort()
}

test('docs/errors.md lists every code once, with its class', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  const documented = [...page.matchAll(/^\| `(NETMEM_\w+)` \| `(\w+)` \|/gm)]
    .map(([, code, name]) => `${code} ${name}`)
    .sort()
  assert.ok(documented.length > 60)
  assert.deepEqual(documented, declared())
})
