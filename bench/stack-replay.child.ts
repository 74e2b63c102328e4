/** Makes a capture, and replays it through the whole stack. */

import { replay } from 'netmem/stack'
import { createGenerator, createPcapngWriter } from 'netmem/stack/link'
import { answer } from './processes.ts'

export interface ReplayRequest {
  readonly path: string
  /** `make` writes a capture of so many bytes of payload there. */
  readonly what: 'make' | 'page' | 'device'
  readonly bytes: number
}

/** A jumbo frame's payload, and how long one takes at 10 Gb/s. */
const MSS = 8948
const FRAME_NS = 7200

function make(path: string, bytes: number): void {
  const link = createGenerator({ mssBytes: MSS, totalBytes: bytes, handshake: true })
  const file = createPcapngWriter(path)
  for (let at = 0; ; at += FRAME_NS) {
    const frame = link.receive(at)
    if (frame === undefined) break
    frame.timeNs = at
    file.write(frame)
  }
  file.close()
}

answer(async ({ path, what, bytes }: ReplayRequest) => {
  if (what === 'make') {
    make(path, bytes)
    return 'made'
  }
  const start = process.hrtime.bigint()
  const { flows } = await replay(path, { memory: what })
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  const [flow] = flows
  if (flow?.bytes !== bytes || flow.gaps > 0) {
    throw new Error(`${flow?.bytes} of ${bytes} bytes were put in order`)
  }
  return { gbPerS: bytes / 1e9 / seconds, sha256: Number.parseInt(flow.sha256.slice(0, 12), 16) }
})
