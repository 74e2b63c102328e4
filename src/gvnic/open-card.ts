/** One card on a TAP interface or a capture, in a separate thread. */

import { resolve } from 'node:path'
import { ArgumentTypeError, checkString, type OptionNames, ownOptions } from '../errors.ts'
import { unixAddressOf } from '../linux/sys/index.ts'
import { type CardServerOptions, checkCards } from './card-options.ts'
import { type CardServer, openCardThread } from './card-thread.ts'
import type { CardLink } from './thread/messages.ts'

/** Options of {@link openCard}. */
export interface CardOptions extends CardServerOptions {
  /** Place of the socket that QEMU connects to, at most 107 bytes. */
  readonly socket: string
  /** Link of the card. */
  readonly link: CardLink
}

const NAMES: OptionNames<CardOptions> = {
  ...{ socket: true, link: true, queues: true, mtu: true, loss: true, seed: true, capture: true },
  onFault: true,
}

/**
 * Opens a network card on a link: a TAP interface, behind which is the kernel of this machine, or a
 * capture, whose frames the guest receives. It keeps this process running.
 *
 * Frames pass the TAP interface with checksums and segmentation left to either end, and are sent from
 * where the guest has them. Those that arrive while the guest's interface is down are lost. A capture is
 * played once, from the moment at which that interface comes up.
 *
 * Errors are rejections. If a file cannot be opened, it is the system's own error.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range.
 * @throws NETMEM_TAP_UNAVAILABLE, NETMEM_TAP_PERMISSION, NETMEM_TAP_NAME_TAKEN as `createTapLink()` does.
 * @throws NETMEM_CAPTURE_INVALID for a file that is no capture.
 * @throws NETMEM_SYSCALL_FAILED if the system refuses the socket.
 * @throws NETMEM_LINUX_UNAVAILABLE without Linux or koffi.
 *
 * @example
 * ```ts
 * import { openCard } from 'netmem/gvnic'
 *
 * const link = { kind: 'tap', name: 'example%d' } as const
 * const card = await openCard({ socket: '/tmp/example-card.sock', link }).catch(({ code }) => {
 *   console.log(code) // NETMEM_TAP_PERMISSION for a user without rights
 * })
 * await card?.close()
 * ```
 */
export async function openCard(options: CardOptions): Promise<CardServer> {
  const own = ownOptions('openCard()', options, NAMES)
  const socket = checkString('socket', own.socket, 'the place of a socket')
  unixAddressOf(socket)
  const link = checkLink(own.link)
  const checked = checkCards(own)
  const { capture } = checked
  if (link.kind === 'capture' && capture !== undefined && resolve(link.path) === resolve(capture)) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `capture is the file that the card is to play: ${capture}. Name another one.`,
    )
  }
  return openCardThread({ ...checked, sockets: [socket], link }, own.onFault)
}

function checkLink(link: CardLink): CardLink {
  const kind: unknown = link?.kind
  if (link?.kind === 'tap') {
    const { name } = ownOptions('link', link, { kind: true, name: true })
    return { kind: 'tap', name: checkString('name', name, 'the name of a TAP interface') }
  }
  if (link?.kind === 'capture') {
    const { path } = ownOptions('link', link, { kind: true, path: true })
    return { kind: 'capture', path: checkString('path', path, 'the path of a capture') }
  }
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `link.kind must be 'tap' or 'capture', not ${String(kind)}.`,
  )
}
