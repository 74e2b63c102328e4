/** Child processes of tests. Not published. */

import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'

/**
 * Waits for the first output of a program.
 *
 * @throws Error when the program ends without any: its test would wait for ever.
 */
export function firstOutput(child: ChildProcess & { readonly stdout: Readable }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      reject(new Error(`The program ended with ${code ?? signal} before it printed anything.`))
    })
  })
}
