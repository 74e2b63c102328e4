// Pieces of TypeScript that netlink-tables.mjs writes.

const WIDTH = 100

// Docstrings here begin with a noun or a verb. Two of the specifications' do not.
const WORDING = [
  [
    /^Whether the NAPI is configured to operate in threaded polling mode\./,
    'Threaded polling mode of the NAPI.',
  ],
  [
    /^What object type should be used to iterate over the stats\./,
    'Type of the objects that the stats are listed by.',
  ],
]

export const words = (text) =>
  WORDING.reduce(
    (each, [pattern, better]) => each.replace(pattern, better),
    text.trim().replace(/\s+/g, ' ').replaceAll('*/', '* /'),
  )
export const pascal = (name) =>
  name.replace(/(^|[-_])([a-z0-9])/g, (_, _dash, letter) => letter.toUpperCase())
export const quote = (text) => `'${text.replaceAll("'", "\\'")}'`
export const key = (name) => (/^[a-z_$][\w$]*$/i.test(name) ? name : quote(name))
export const fields = (object) =>
  Object.entries(object)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${key(name)}: ${literal(value)}`)

export function literal(value) {
  if (typeof value === 'string') return quote(value)
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  return typeof value === 'object' && value !== null
    ? `{ ${fields(value).join(', ')} }`
    : String(value)
}

export function docstring(text, indent = '') {
  const line = `${indent}/** ${text} */`
  if (line.length <= WIDTH) return `${line}\n`
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.length - 1
    const longer = lines[last] === '' ? word : `${lines[last]} ${word}`
    if (indent.length + 3 + longer.length <= WIDTH) lines[last] = longer
    else lines.push(word)
  }
  return `${indent}/**\n${lines.map((each) => `${indent} * ${each}\n`).join('')}${indent} */\n`
}

export function constName(name) {
  const camel = pascal(name)
  return camel[0].toLowerCase() + camel.slice(1)
}
