// Start-up: an entry point loads what its synchronous functions need. The rest is loaded by the first call.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

/** Prints the paths of modules that are loaded when the import of argument 1 has ended. */
const PROGRAM = `
import { Session } from 'node:inspector'
const urls = new Set()
await import(process.argv[1])
const session = new Session()
session.connect()
session.on('Debugger.scriptParsed', ({ params }) => urls.add(params.url))
session.post('Debugger.enable')
session.disconnect()
console.log(JSON.stringify([...urls].filter((url) => url.startsWith('file:'))))
`

/** Returns the modules that a fresh process loads to import `file`: those of this package by their paths in it. */
async function modulesOf(file: string): Promise<string[]> {
  const root = new URL('./', import.meta.url).href
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '--eval',
    PROGRAM,
    new URL(file, root).href,
  ])
  const urls: unknown = JSON.parse(stdout)
  assert.ok(Array.isArray(urls))
  return urls.map((url) => String(url).replace(root, ''))
}

// Each module costs 0.3 to 0.5 ms. The numbers are those of today and a few more.
for (const { file, atMost, never } of [
  { file: 'index.js', atMost: 40, never: /^(net|linux|wire)\// },
  {
    file: 'linux/index.js',
    atMost: 115,
    never:
      /koffi|^net\/(index|driver\/.*)\.js|netlink\/(netlink|requests|socket)\.js|devmem\/(card-changes|undo)\.js/,
  },
  { file: 'net/index.js', atMost: 70, never: /^(http|linux)\// },
]) {
  test(`import of ${file} loads ${atMost} modules at most, and none that a later call loads`, async () => {
    const modules = await modulesOf(file)
    assert.ok(modules.includes(file), 'the list is that of the import')
    assert.deepEqual(
      modules.filter((module) => never.test(module)),
      [],
    )
    assert.ok(modules.length <= atMost, `${modules.length} modules:\n${modules.join('\n')}`)
  })
}
