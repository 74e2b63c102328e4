// One name for one thing: no two files of src declare a type, or export anything, under the same name.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const sources = fileURLToPath(new URL('../src', import.meta.url))

/** Names that two files may have, with the reason. */
const TWICE = new Map([
  ['DmaBuf', "the kernel's, and the same thing in the user-space stack"],
  ['bindRx', 'binds either of them'],
  ['BindRxOptions', 'options of either bindRx'],
  ['connect', 'of netmem/net, and the system call'],
  ['listen', 'of netmem/net, and the system call'],
  ['open', 'the system call, and allocCache.open'],
])

/** The declarations at the top of a file: all types, and exported values. The formatter indents all others. */
const DECLARATION =
  /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class) (\w+)|^export (?:async )?(?:function\*? |const |let )(\w+)/gm

test('no two files declare the same name', () => {
  const places = new Map()
  const files = readdirSync(sources, { recursive: true }).filter(
    (path) => path.endsWith('.ts') && !path.includes('.test.') && !path.includes('generated'),
  )
  for (const path of files) {
    for (const [, type, value] of readFileSync(join(sources, path), 'utf8').matchAll(DECLARATION)) {
      const name = type ?? value
      places.set(name, (places.get(name) ?? new Set()).add(path))
    }
  }
  assert.ok(places.size > 1000)
  const twice = [...places].filter(([, paths]) => paths.size > 1)
  const excused = twice.map(([name]) => name).filter((name) => TWICE.has(name))
  assert.deepEqual(excused.sort(), [...TWICE.keys()].sort(), 'each exception is needed')
  assert.deepEqual(
    twice
      .filter(([name]) => !TWICE.has(name))
      .map(([name, paths]) => `${name}: ${[...paths].join(', ')}`),
    [],
  )
})
