// The generated tables of netlink families are what the generator makes of the kernel's specifications.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sourceInCache } from '../build/test/guest/debian.js'
import { COMPARED_SOURCE } from '../build/test/guest/needs.js'
import { folder, generate } from './netlink-tables.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = sourceInCache(COMPARED_SOURCE)
const skip = source === undefined && "needs the kernel's specifications: npm run guest:fetch"

test('the tables are those of the specifications, byte for byte', { skip }, () => {
  const files = generate(source)
  for (const [path, text] of files) {
    assert.equal(readFileSync(join(root, path), 'utf8'), text, `${path}: run the generator again`)
  }
  const there = readdirSync(join(root, folder)).map((name) => `${folder}/${name}`)
  assert.deepEqual(there.sort(), [...files.keys()].sort())
})

test('every file names its licence, and the package has its text', () => {
  for (const name of readdirSync(join(root, folder))) {
    const [first, ...rest] = readFileSync(join(root, folder, name), 'utf8').split('\n')
    assert.equal(first, '// SPDX-License-Identifier: BSD-3-Clause', name)
    assert.match(rest.slice(0, 4).join(' '), /LICENSES\/BSD-3-Clause\.txt/, name)
  }
  const licence = readFileSync(join(root, 'LICENSES/BSD-3-Clause.txt'), 'utf8')
  assert.match(licence, /Redistribution and use in source and binary forms/)
  const { files, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.ok(files.includes('LICENSES'))
  assert.equal(license, 'MIT AND BSD-3-Clause')
})
