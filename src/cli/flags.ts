/** Translates option names in the library's error messages to flags. */

/** Flags by the library option that they set. `bare` is the value that a flag without argument sets. */
const FLAGS: { readonly [option: string]: { readonly flag: string; readonly bare?: string } } = {
  allowDowngrade: { flag: '--allow-downgrade', bare: 'true' },
  authorization: { flag: '--user' },
  connectTimeoutMs: { flag: '--connect-timeout' },
  connections: { flag: '--connections' },
  crossOriginHeaders: { flag: '--cross-origin-header' },
  decompress: { flag: '--decompress', bare: 'true' },
  headTimeoutMs: { flag: '--stall-timeout' },
  headers: { flag: '--header' },
  maxBytesPerSecond: { flag: '--limit' },
  onChange: { flag: '--on-change' },
  pageSize: { flag: '--page-size' },
  proxy: { flag: '--no-proxy', bare: 'false' },
  raw: { flag: '--raw', bare: 'true' },
  resume: { flag: '--resume', bare: 'true' },
  retries: { flag: '--retries' },
  stallTimeoutMs: { flag: '--stall-timeout' },
}

const NAMES = Object.keys(FLAGS).join('|')
const SET = new RegExp(`\\bset (${NAMES}) to '?(\\w+)'?`, 'g')
const SET_ANY = new RegExp(`\\bset (${NAMES})\\b(?!:)`, 'g')
const VALUE = new RegExp(`\\b(set )?(${NAMES}): (true|false|\\d+|'\\w+')`, 'g')
const NAME = new RegExp(`\\b(${NAMES})\\b`, 'g')

/** Advice about options that have no flag. */
const NO_FLAG = /; raise maxHeadBytes[^.]*/g

/**
 * Returns `message` with options of the library as flags: `decompress: true` becomes
 * `--decompress`. A name alone is replaced where it cannot be a word of English.
 */
export function inFlags(message: string): string {
  return message
    .replaceAll(NO_FLAG, '')
    .replaceAll(SET, (_, option: string, value: string) => `use ${flagOf(option, value)}`)
    .replaceAll(SET_ANY, (_, option: string) => `use ${FLAGS[option]?.flag}`)
    .replaceAll(VALUE, (_, set: string | undefined, option: string, value: string) =>
      (set === undefined ? '' : 'use ').concat(flagOf(option, value)),
    )
    .replaceAll(NAME, (option: string) =>
      /[A-Z]/.test(option) ? (FLAGS[option]?.flag ?? option) : option,
    )
}

function flagOf(option: string, value: string): string {
  const { flag = option, bare } = FLAGS[option] ?? {}
  return value === bare ? flag : `${flag} ${value.replaceAll("'", '')}`
}
