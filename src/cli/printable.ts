/** Escapes text of servers, peers and URLs, so that it cannot control a terminal. */

/**
 * Control characters (C0 and C1), format characters (which turn or hide text), line and paragraph
 * separators, lone surrogates. The two joiners are kept, which names of several scripts need.
 */
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Returns `text` with all control characters escaped. */
export function printable(text: string): string {
  return text.replaceAll(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0
    if (code <= 0xff) return `\\x${hex(code, 2)}`
    return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 1)}}`
  })
}

/** Returns a value as one line of JSON, with control characters escaped. */
export function printableJson(value: unknown): string {
  // JSON has such characters in strings alone, where an escape may stand for each UTF-16 unit.
  return JSON.stringify(value).replaceAll(UNSAFE, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${hex(character.charCodeAt(at), 4)}`,
    ).join(''),
  )
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}
