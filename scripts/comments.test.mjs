// The first word of a comment is a noun or a verb: one that opens with a question word is a riddle.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['src', 'bench', 'examples', 'frozen', 'scripts', 'test']
const QUESTION = /^(?:@internal )?(?:What|Where|How|Why|Which|Who|Whom|Whose|Whether)(?:ever)?\b/

/** Lists the first lines of the comments of a file, as `line: text`. */
function openings(source) {
  const lines = source.split('\n')
  return lines.flatMap((line, index) => {
    const block = /^\s*\/\*\*? (.+)/.exec(line)
    const opened = /^\s*\/\*\*?$/.test(line) ? /^\s*\* (.+)/.exec(lines[index + 1] ?? '') : null
    const follows = /^\s*(?:\/\/|#)/.test(lines[index - 1] ?? '')
    const single = follows ? null : /^\s*(?:\/\/|#) (.+)/.exec(line)
    const text = (block ?? opened ?? single)?.[1]
    return text === undefined ? [] : [{ line: index + 1, text }]
  })
}

test('no comment opens with a question word', () => {
  let comments = 0
  const riddles = []
  for (const folder of FOLDERS) {
    for (const path of readdirSync(join(root, folder), { recursive: true })) {
      if (!/\.(?:ts|mts|mjs|c|sh|py)$/.test(path) || path.includes('generated')) continue
      for (const { line, text } of openings(readFileSync(join(root, folder, path), 'utf8'))) {
        comments++
        if (QUESTION.test(text)) riddles.push(`${folder}/${path}:${line}: ${text}`)
      }
    }
  }
  assert.ok(comments > 5000)
  assert.deepEqual(riddles, [])
})
