/** Thread of the cards: it makes them, serves them, and answers messages. */

import { createHash } from 'node:crypto'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { ArgumentRangeError, ArgumentTypeError } from '../../errors.ts'
import { type Fd, isFd } from '../../linux/sys/index.ts'
import { DeviceError } from '../../stack/device-error.ts'
import { describeFailure } from '../../stack/rings/device-failure.ts'
import { DeviceServer } from '../../vfio-user/index.ts'
import { formatMac } from '../../wire/address.ts'
import { Gvnic } from '../gvnic.ts'
import { CardLinks, type OpenedCardLink } from './card-links.ts'
import { runCards, type ServedCard } from './card-loop.ts'
import type { CardLook, CardThreadData, FromCards, ToCards } from './messages.ts'

/** Beginning of the hardware addresses, which no maker has. */
const MAC = [0x02, 0x6e, 0x6d] as const

/** A card with what is shown of it. */
interface ShownCard extends ServedCard {
  readonly card: Gvnic
  readonly server: DeviceServer
  readonly mac: Uint8Array
  readonly opened: OpenedCardLink
}

function main(port: MessagePort): void {
  const data: CardThreadData = workerData
  const { wake } = data
  if (!isFd(wake)) return
  const say = (message: FromCards): void => port.postMessage(message)
  try {
    using links = new CardLinks(data)
    const cards = makeCards(links, data)
    try {
      links.startCapture()
      say({ kind: 'open' })
      serve(cards, links, wake, port, say)
    } finally {
      for (const { server } of cards) server.close()
    }
  } catch (error) {
    // The classes of other errors do not matter to callers, and their codes cross threads.
    if (!isRefusal(error)) throw error
    say({ kind: 'failed', failure: describeFailure(error) })
  }
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof DeviceError ||
    error instanceof ArgumentRangeError ||
    error instanceof ArgumentTypeError
  )
}

function serve(
  cards: readonly ShownCard[],
  links: CardLinks,
  wake: Fd,
  port: MessagePort,
  say: (message: FromCards) => void,
): void {
  runCards(cards, wake, {
    wake: () => {
      links.flush()
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
        const message: ToCards = next.message
        if (message.kind === 'close') return false
        if (message.kind === 'look') say({ kind: 'look', cards: cards.map(lookAt) })
        else for (const { card } of cards) card.linkUp = message.up
      }
      return true
    },
    fault: ({ server }, { code, message }) => {
      say({ kind: 'fault', socket: server.path, code, message })
    },
  })
}

function makeCards({ links }: CardLinks, { sockets, queues, link }: CardThreadData): ShownCard[] {
  const made: ShownCard[] = []
  try {
    for (const [index, opened] of links.entries()) {
      const path = sockets[index] ?? ''
      const mac = Uint8Array.of(...MAC, ...(link.kind === 'pair' ? [0, 0, index + 1] : place(path)))
      const { mtu, pause = false } = opened
      const card = new Gvnic({ link: opened.link, mac, queues, mtu, pause })
      const server = new DeviceServer(card, { path })
      made.push({ card, link: opened.link, mac, opened, server })
    }
  } catch (error) {
    for (const { server } of made) server.close()
    throw error
  }
  return made
}

/** Returns the end of a hardware address. Cards of several processes may meet on a bridge. */
function place(socket: string): Uint8Array {
  return createHash('sha256').update(socket).digest().subarray(0, 3)
}

function lookAt({ card, server, mac, opened }: ShownCard): CardLook {
  return {
    socket: server.path,
    mac: formatMac(mac),
    mtu: opened.mtu,
    link: opened.look(),
    connected: server.connected,
    state: card.state,
    stats: card.stats,
  }
}

if (parentPort !== null) main(parentPort)
