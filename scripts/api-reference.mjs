// The API reference: one page per entry point in docs/api, made from the declarations of the last
// build. `npm run api` writes it. Api-reference.test.mjs fails while it is not up to date.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Node, Project, ts } from 'ts-morph'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'docs/api')

/** Entry points with the file of their declarations. Threads' scripts export nothing. */
function entryPoints() {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.entries(exports)
    .filter(([path, { types }]) => types !== undefined && !path.endsWith('.worker'))
    .map(([path, { types }]) => ({ name: path.replace('.', 'netmem'), file: join(root, types) }))
}

/**
 * Renders all pages. Returns their texts by file name, and the exports and members that have no
 * docstring.
 */
export function apiReference() {
  const compilerOptions = { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2023 }
  const project = new Project({ compilerOptions, skipAddingFilesFromTsConfig: true })
  const sources = entryPoints().map(({ name, file }) => ({
    name,
    source: project.addSourceFileAtPath(file),
  }))
  const exported = new Set(
    sources.flatMap(({ source }) => [...source.getExportedDeclarations().values()].flat()),
  )
  const pages = new Map()
  const undocumented = []
  const members = new Set()
  for (const { name, source } of sources) {
    const entries = [...source.getExportedDeclarations()].map(([of, declarations]) =>
      entryOf(of, declarations),
    )
    for (const entry of entries) if (entry.prose === '') undocumented.push(`${name}: ${entry.name}`)
    entries.push(...namedIn(entries, exported))
    for (const entry of entries) for (const of of undocumentedMembers(entry)) members.add(of)
    pages.set(`${name.replaceAll('/', '-')}.md`, page(name, moduleComment(source), entries))
  }
  pages.set('README.md', index())
  return { pages, undocumented: [...undocumented, ...members] }
}

function index() {
  const lines = entryPoints().map(({ name }) => `- [${name}](${name.replaceAll('/', '-')}.md)`)
  return `# API reference\n\nMade from the docstrings by \`npm run api\`. Do not edit it.\n\n${lines.join('\n')}\n`
}

/** Entries of the types that `entries` name and no entry point exports, theirs included. */
function namedIn(entries, exported) {
  const found = new Map()
  const look = (node) => {
    for (const name of node.getDescendantsOfKind(ts.SyntaxKind.Identifier)) {
      const symbol = name.getSymbol()
      for (const named of (symbol?.getAliasedSymbol() ?? symbol)?.getDeclarations() ?? []) {
        const isType = Node.isInterfaceDeclaration(named) || Node.isTypeAliasDeclaration(named)
        const isOurs = named.getSourceFile().getFilePath().startsWith(join(root, 'dist'))
        if (!isType || !isOurs || exported.has(named) || found.has(named)) continue
        if (named.getName() === 'ErrorCodes') continue // docs/errors.md lists them.
        found.set(named, { ...entryOf(named.getName(), [named]), isNamed: true })
        look(named)
      }
    }
  }
  for (const { node } of entries) look(node)
  return [...found.values()]
}

/** Names of the members of a type or an object, also nested ones, that have no docstring. */
function undocumentedMembers({ name, node }) {
  // A parameter's own literal is what its `@param` is for.
  const nested = node
    .getDescendantsOfKind(ts.SyntaxKind.TypeLiteral)
    .filter((body) => body.getFirstAncestorByKind(ts.SyntaxKind.Parameter) === undefined)
  const bodies = [node, ...nested]
  return bodies.flatMap((body) =>
    membersOf(body)
      .filter((member) => member.getJsDocs().length === 0)
      .filter((member) => !explainsItself(member) && !inheritsDocs(member))
      .map((member) => `${name}: ${member.getName()}`),
  )
}

/** Members that users can name: not private ones, signatures and those keyed by a symbol. */
function membersOf(body) {
  const members = body.getMembers?.() ?? []
  return members.filter((member) => /^\w+$/.test(member.getName?.() ?? ''))
}

/** True for a discriminant, whose kinds the whole type tells, and for a member that may not be there. */
function explainsItself(member) {
  return member.getName() === 'kind' || member.getTypeNode?.()?.getText() === 'never'
}

/** True if a superclass or an interface of the member's class has it: editors show its docstring. */
function inheritsDocs(member) {
  const owner = member.getParent()
  const of = Node.isClassDeclaration(owner) ? [owner.getExtends(), ...owner.getImplements()] : []
  const above = Node.isInterfaceDeclaration(owner) ? owner.getExtends() : of
  return above.some((type) => type?.getType().getProperty(member.getName()) !== undefined)
}

const sections = [
  ['Types that others are made of, not exported', ({ isNamed }) => isNamed === true],
  ['Functions', ({ node }) => Node.isFunctionDeclaration(node)],
  ['Classes', ({ node }) => Node.isClassDeclaration(node)],
  ['Types', ({ node }) => Node.isInterfaceDeclaration(node) || Node.isTypeAliasDeclaration(node)],
  ['Constants', () => true],
]
const order = [1, 2, 3, 4, 0]

function page(name, intro, entries) {
  const parts = [`# ${name}`, intro]
  for (const at of order) {
    const own = entries
      .filter((entry) => sections.findIndex(([, belongs]) => belongs(entry)) === at)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    if (own.length === 0) continue
    const links = own.map(({ name: of }) => `[${of}](#${of.toLowerCase()})`)
    parts.push(`## ${sections[at][0]}`, links.join(' · '), ...own.map(({ text }) => text))
  }
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** The comment of an entry point's file, without its last paragraphs, which guide readers of the source. */
function moduleComment(source) {
  const [comment = ''] = /\/\*\*.*?\*\//s.exec(source.getFullText()) ?? []
  const text = comment.replace(/^\s*\/?\*+\/? ?/gm, '').replace(/\s*\*\/$/, '')
  return plain(text.split(/^@module|^Read on:/m)[0]).trim()
}

function entryOf(name, [first, ...overloads]) {
  // The last comment is the declaration's: one before it is the file's.
  const docs = [first, ...overloads].flatMap((node) => documented(node).getJsDocs().slice(-1))
  const prose = docs
    .map((doc) => plain(doc.getDescription()).trim())
    .join('\n\n')
    .trim()
  const tags = docs.flatMap((doc) => doc.getTags())
  const listed = (tag, title) => {
    const lines = tags.filter((each) => each.getTagName() === tag).map((each) => tagText(each))
    return lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `- ${line}`).join('\n')}`
  }
  const examples = tags
    .filter((each) => each.getTagName() === 'example')
    .map((each) => plain(each.getCommentText() ?? '').trim())
  const signature = fenced([first, ...overloads].map(declaration).join('\n'))
  const text = [
    `### ${name}`,
    prose,
    signature,
    listed('param', 'Parameters'),
    listed('throws', 'Throws'),
    ...examples,
  ]
    .filter((part) => part !== '')
    .join('\n\n')
  return { name, node: first, prose, text }
}

/** The node that has the docstring: of a variable, its statement. */
function documented(node) {
  return Node.isVariableDeclaration(node) ? node.getVariableStatementOrThrow() : node
}

function tagText(tag) {
  const text = plain(tag.getCommentText() ?? '')
    .replace(/\s+/g, ' ')
    .replace(/^[-\s]+/, '')
  return Node.isJSDocParameterTag(tag) ? `\`${tag.getName()}\`: ${text}` : text
}

/** A declaration without its own docstring, and without what users cannot have. */
function declaration(node) {
  const text = documented(node).getText()
  return plain(text)
    .replace(/^export (declare )?/, '')
    .replace(/^ +#private;\n/gm, '')
    .replace(/^ +private constructor\([\s\S]*?\);\n/gm, '')
    .replace(/;$/gm, '')
    .replace(
      /^( +)/gm,
      (spaces) => ' '.repeat(spaces.length >> 1) + (spaces.length % 4 === 1 ? ' ' : ''),
    )
}

function fenced(code) {
  const fence = code.includes('```') ? '````' : '```'
  return `${fence}ts\n${code.trimEnd()}\n${fence}`
}

/** Text with its links as plain code, and no line ends that depend on the system. */
function plain(text) {
  return text.replace(/\{@link(?:code)?\s+([^}|]+?)\s*\}/g, '`$1`').replaceAll('\r\n', '\n')
}

/** Writes the pages. Removes those of former entry points. */
export function writeReference() {
  const { pages } = apiReference()
  mkdirSync(folder, { recursive: true })
  for (const file of readdirSync(folder)) if (!pages.has(file)) rmSync(join(folder, file))
  for (const [file, text] of pages) writeFileSync(join(folder, file), text)
}

/** Names of the pages in docs/api that differ from `pages`. */
export function outdatedPages(pages) {
  const found = readdirSync(folder)
  const names = new Set([...pages.keys(), ...found])
  return [...names].filter(
    (file) => !found.includes(file) || readFileSync(join(folder, file), 'utf8') !== pages.get(file),
  )
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeReference()
  console.log(`wrote ${relative(process.cwd(), folder)}`)
}
