// Comments and titles of tests are plain English. The first word is a noun or a verb, each sentence ends in
// a full stop, and no word stands in for the name of a thing or a person.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['src', 'bench', 'examples', 'frozen', 'scripts', 'test']
const QUESTION = /^(?:@internal )?(?:What|Where|How|Why|Which|Who|Whom|Whose|Whether)(?:ever)?\b/
/** Words that stand in for a noun. The user nobody is one. */
const STAND_IN =
  /\b(?:who(?:m?ever)|whatever|whichever|(?<!user )nobody|(?:some|any|every)body|someone|meanwhile)\b/i
/** Code and sources in a comment, which have semicolons of their own. */
const NO_PROSE = /`[^`]*`|\([^()]*\)|@example[\s\S]*/g

/** A block comment, or lines of `//` or `#` that follow one another. */
const COMMENT = /^[ \t]*(?:\/\*\*?\s[\s\S]*?\*\/|(?:\/\/|#) .*(?:\n[ \t]*(?:\/\/|#)(?: .*|$))*)/gm
/** Title of a test that stands beside its call. */
const TITLE = /\b(?:test|it|describe|onDevices)\(\s*(['"`])(.*?)\1/g

/** Lists the matches of `pattern`, with the numbers of their lines. */
function matchesOf(source, pattern, textOf) {
  return [...source.matchAll(pattern)].map((match) => ({
    line: source.slice(0, match.index).split('\n').length,
    text: textOf(match),
  }))
}

function textOfComment([comment]) {
  return comment
    .replace(/^[ \t]*(?:\/\*\*?|\*(?!\/)|\/\/|#) ?/gm, '')
    .replace(/\s*\*\/$/, '')
    .trim()
}

const files = FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((path) => /\.(?:ts|mts|mjs|c|sh|py)$/.test(path) && !path.includes('generated'))
    .map((path) => {
      const source = readFileSync(join(root, folder, path), 'utf8')
      const comments = matchesOf(source, COMMENT, textOfComment)
      const titles = matchesOf(source, TITLE, ([, , title]) => title)
      return { path: `${folder}/${path}`, comments, titles }
    }),
)

/** Lists what is found, as `path:line: text`. */
function found(list, isWrong) {
  return files.flatMap((file) =>
    file[list]
      .filter(({ text }) => isWrong(text))
      .map(({ line, text }) => `${file.path}:${line}: ${text}`),
  )
}

test('the files have comments and titles', () => {
  assert.ok(files.flatMap(({ comments }) => comments).length > 5000)
  assert.ok(files.flatMap(({ titles }) => titles).length > 1500)
})

test('no comment opens with a question word', () => {
  assert.deepEqual(
    found('comments', (text) => QUESTION.test(text)),
    [],
  )
})

test('no comment and no title of a test has a word that stands in for a noun', () => {
  const isWrong = (text) => STAND_IN.test(text.replace(NO_PROSE, ''))
  assert.deepEqual([...found('comments', isWrong), ...found('titles', isWrong)], [])
})

test('no comment joins two sentences with a semicolon', () => {
  assert.deepEqual(
    found('comments', (text) => /;\s/.test(text.replace(NO_PROSE, ''))),
    [],
  )
})
