/** Links of the cards, with what is put around them: faults, and a capture of the first card's frames. */

import { createCaptureLink } from '../../stack/link/capture/capture-link.ts'
import { createPcapngWriter, type PcapngWriter } from '../../stack/link/capture/pcapng-writer.ts'
import type { FaultOptions } from '../../stack/link/fate.ts'
import { faultyLink } from '../../stack/link/faults.ts'
import type { Link } from '../../stack/link/link.ts'
import { createLinkPair } from '../../stack/link/link-pair.ts'
import { createTapLink } from '../../stack/link/tap/tap-link.ts'
import { tracedLink } from '../../stack/link/traced-link.ts'
import { DEFAULT_MTU, MAX_MTU } from '../gvnic.ts'
import { lateStart } from './late-start.ts'
import { lossySender } from './lossy-sender.ts'
import type { CardThreadData, LinkLook } from './messages.ts'

/** Bytes under way between two cards: some of the largest TSO packets. */
const QUEUE_BYTES = 2 ** 24

/** Link of a card. */
export interface OpenedCardLink {
  readonly link: Link
  /** MTU of the card. */
  readonly mtu: number
  /** True if frames wait on the link for buffers. */
  readonly pause?: boolean
  look(): LinkLook
}

export class CardLinks implements Disposable {
  /** The links, in the order of the cards. */
  readonly links: readonly OpenedCardLink[]
  readonly #capture: string | undefined
  #writer: PcapngWriter | undefined

  /**
   * Opens the links.
   *
   * @throws NETMEM_TAP_*, NETMEM_CAPTURE_INVALID, NETMEM_OUT_OF_RANGE, and the system's own error of a
   *   file.
   */
  constructor(data: CardThreadData) {
    this.#capture = data.capture
    this.links = openLinks(data).map((opened, index) =>
      data.capture === undefined || index > 0
        ? opened
        : { ...opened, link: tracedLink(opened.link, (frame) => this.#writer?.write(frame)) },
    )
  }

  /**
   * Makes the capture's file, or empties it. Call it when the sockets are there: a second start of the same
   * command fails before, and leaves the capture of the first one whole.
   *
   * @throws the system's own error of the file.
   */
  startCapture(): void {
    if (this.#capture !== undefined) this.#writer = openWriter(this.#capture)
  }

  /** Writes what is buffered of the capture. */
  flush(): void {
    this.#writer?.flush()
  }

  [Symbol.dispose](): void {
    for (const { link } of this.links) link.close()
    this.#writer?.close()
  }
}

function openWriter(path: string): PcapngWriter {
  const nowMs = performance.timeOrigin + performance.now()
  return createPcapngWriter(path, { startNs: BigInt(Math.round(nowMs * 1e6)) })
}

function openLinks({ link, mtu, faults }: CardThreadData): readonly OpenedCardLink[] {
  switch (link.kind) {
    case 'pair':
      return createLinkPair({ queueBytes: QUEUE_BYTES }).map((plain) => ({
        link: faults === undefined ? plain : faultyLink(plain, faults),
        mtu: mtu ?? DEFAULT_MTU,
        look: () => ({ kind: 'pair' }),
      }))
    case 'tap':
      return [openTap(link.name, mtu, faults)]
    case 'capture':
      return [openPlayed(link.path, mtu, faults)]
  }
}

/** Opens a TAP interface. Faults are for single frames, so the kernel cuts large ones for them. */
function openTap(
  name: string,
  mtu: number | undefined,
  faults: FaultOptions | undefined,
): OpenedCardLink {
  const offload = faults === undefined
  const tap = createTapLink({ name, offload, ...(mtu === undefined ? {} : { mtu }) })
  const { offloadRefusal } = tap
  const look = { kind: 'tap', name: tap.name, mtu: tap.mtu, offloadRefusal } as const
  return {
    link: faults === undefined ? tap : lossySender(faultyLink(tap, faults), faults),
    mtu: Math.min(look.mtu, MAX_MTU),
    look: () => look,
  }
}

function openPlayed(
  path: string,
  mtu: number | undefined,
  faults: FaultOptions | undefined,
): OpenedCardLink {
  const capture = createCaptureLink(path, { timing: 'kept' })
  const played = lateStart(capture)
  return {
    link: faults === undefined ? played : faultyLink(played, faults),
    mtu: mtu ?? DEFAULT_MTU,
    // A guest posts its buffers after it has started a queue.
    pause: true,
    look: () => ({ kind: 'capture', path, ended: capture.ended }),
  }
}
