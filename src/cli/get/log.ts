/** `netmem get --verbose`: requests, heads, attempts and times, as lines on stderr. */

import type { GetEvent, GetTiming } from '../../http/index.ts'
import { describeError } from '../exit.ts'
import type { Output } from '../output.ts'

/** Fields with secrets, whose values are not logged. */
const SECRET = /auth|cookie|key|secret|signature|token/i

/** Writes lines as curl does: `>` for requests, `<` for responses, `*` for other events. */
export function logEvent(output: Output, event: GetEvent): void {
  if (event.kind === 'request') {
    const { url, fields } = event
    output.note(`> GET ${url.pathname}${url.search} HTTP/1.1`)
    output.note(`> Host: ${url.host}`)
    for (const [name, value] of fields) {
      output.note(`> ${name}: ${SECRET.test(name) ? '(not shown)' : value}`)
    }
  } else if (event.kind === 'response') {
    const { head, connectMs, tlsMs } = event
    if (connectMs > 0) output.note(`* connected in ${milliseconds(connectMs, tlsMs)}`)
    output.note(`< HTTP/${head.version} ${head.status} ${head.reason}`.trimEnd())
    for (const [name, value] of head.headers) output.note(`< ${name}: ${value}`)
  } else {
    const { error, attempt, delayMs } = event
    const { code, message } = describeError(error)
    output.note(`* ${code}: ${message}`)
    output.note(`* attempt ${attempt} in ${(delayMs / 1_000).toFixed(1)} s`)
  }
}

/** Writes the times of a download's milestones. */
export function logTiming(output: Output, { firstByteMs, lastByteMs }: GetTiming): void {
  output.note(`* first byte after ${ms(firstByteMs)}, last byte after ${ms(lastByteMs)}`)
}

function milliseconds(connectMs: number, tlsMs: number): string {
  return tlsMs > 0 ? `${ms(connectMs)}, of which TLS took ${ms(tlsMs)}` : ms(connectMs)
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
