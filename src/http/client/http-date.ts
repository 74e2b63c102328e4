/** Dates of HTTP (RFC 9110, 5.6.7): the form to send, and two old forms to read. */

const FORMS = [
  // Sun, 06 Nov 1994 08:49:37 GMT
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  // Sunday, 06-Nov-94 08:49:37 GMT
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  // Sun Nov  6 08:49:37 1994: in UTC, though it does not say so
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
] as const

/** Returns milliseconds since 1970, or `undefined` for text that is not an HTTP date. */
export function httpDateMs(text: string): number | undefined {
  const form = FORMS.findIndex((pattern) => pattern.test(text))
  if (form < 0) return undefined
  const date = Date.parse(form === 2 ? `${text} GMT` : text)
  return Number.isNaN(date) ? undefined : date
}
