/**
 * Reading JSON that a stranger sent: nothing is assumed of a field before it was looked at.
 */

/** A JSON object whose fields nobody has looked at yet. */
export type Fields = Readonly<Record<string, unknown>>

/** The object a text holds, or `undefined` for any other text. */
export function parseFields(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * A whole number from 0 up; `fallback` where the field is missing, `undefined` where it is
 * something else.
 */
export function integer(fields: Fields, name: string, fallback: number): number | undefined {
  const value = fields[name] ?? fallback
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined
}

/** `undefined` where the field is missing or something else. */
export function string(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' ? value : undefined
}
