/** Two cards that are wired to each other, in a thread of their own. */

import { ArgumentTypeError, type OptionNames, ownOptions } from '../errors.ts'
import { unixAddressOf } from '../linux/sys/index.ts'
import { type CardServerOptions, checkCards } from './card-options.ts'
import { type CardServer, openCardThread } from './card-thread.ts'

/** Options of {@link openWiredCards}. */
export interface WiredCardsOptions extends CardServerOptions {
  /** Places of the two sockets that QEMU connects to, at most 107 bytes each. */
  readonly sockets: readonly string[]
}

const NAMES: OptionNames<WiredCardsOptions> = {
  ...{ sockets: true, queues: true, mtu: true, loss: true, seed: true, capture: true },
  onFault: true,
}

/**
 * Opens two network cards that are wired to each other: what one guest's interface sends, the other's
 * receives. Both may be in one machine. They keep this process running.
 *
 * Errors are rejections. If the capture cannot be made, it is the system's own error.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range.
 * @throws NETMEM_SYSCALL_FAILED if the system refuses a socket.
 * @throws NETMEM_LINUX_UNAVAILABLE without Linux or koffi.
 *
 * @example
 * ```ts
 * import { openWiredCards } from 'netmem/gvnic'
 *
 * const cards = await openWiredCards({ sockets: ['/tmp/example-a.sock', '/tmp/example-b.sock'] })
 * console.log((await cards.look()).map(({ connected }) => connected)) // [ false, false ]
 * await cards.close()
 * ```
 */
export async function openWiredCards(options: WiredCardsOptions): Promise<CardServer> {
  const own = ownOptions('openWiredCards()', options, NAMES)
  const { sockets } = own
  const isPlace = (path: unknown): boolean => typeof path === 'string' && path !== ''
  const arePlaces = Array.isArray(sockets) && sockets.length === 2 && sockets.every(isPlace)
  if (!arePlaces || sockets[0] === sockets[1]) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'openWiredCards() takes the places of two sockets: one for each card.',
    )
  }
  for (const path of sockets) unixAddressOf(path)
  return openCardThread({ ...checkCards(own), sockets, link: { kind: 'pair' } }, own.onFault)
}
