// Links between the pages of this repository lead to a file, and to a heading in it. Source files that they name are there.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'examples/README.md',
  'test/guest/README.md',
].concat(
  readdirSync(join(root, 'docs'), { recursive: true })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
)

/** Headings of a page as the anchors that GitHub makes of them. */
function anchorsOf(text) {
  const headings = text.replace(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm)
  return [...headings].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('links between pages lead to a file, and to a heading in it', () => {
  const broken = []
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [path, anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      const exists = existsSync(join(root, target))
      const wanted = exists && anchor !== undefined
      const found = wanted && anchorsOf(readFileSync(join(root, target), 'utf8')).includes(anchor)
      if (!exists || (wanted && !found)) broken.push(`${page}: ${link}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('source files that the pages name are there', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true }).concat(
    ...['bench', 'examples', 'frozen', 'scripts', 'test'].map((folder) =>
      readdirSync(join(root, folder), { recursive: true }).map((path) => join(folder, path)),
    ),
  )
  const strays = []
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, path] of text.matchAll(/`([\w./-]+\.(?:ts|mjs))`/g)) {
      // `x.tap.test.ts` stands for any name.
      if (/(^|\/)x\./.test(path)) continue
      const name = path.replace(/^src\//, '')
      if (!files.some((file) => `/${file}`.endsWith(`/${name}`))) strays.push(`${page}: ${path}`)
    }
  }
  assert.deepEqual(strays, [])
})
