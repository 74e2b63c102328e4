/** Thread of the cards: it makes them, serves them, and answers messages. */

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type Fd, isFd } from '../../linux/sys/index.ts'
import { faultyLink } from '../../stack/link/faults.ts'
import { createLinkPair } from '../../stack/link/link-pair.ts'
import { DeviceServer } from '../../vfio-user/index.ts'
import { Gvnic } from '../gvnic.ts'
import { runCards, type ServedCard } from './card-loop.ts'
import type { CardLook, CardThreadData, FromCards, ToCards } from './messages.ts'

/** Bytes under way between two cards: some of the largest TSO packets. */
const QUEUE_BYTES = 2 ** 24
/** Beginning of the hardware addresses, which no maker has. The number of the card follows. */
const MAC = [0x02, 0x6e, 0x6d, 0, 0] as const

/** A card with what is shown of it. */
interface ShownCard extends ServedCard {
  readonly mac: Uint8Array
}

function main(port: MessagePort): void {
  const data: CardThreadData = workerData
  const { wake } = data
  if (!isFd(wake)) return
  const cards = makeCards(data)
  const say = (message: FromCards): void => port.postMessage(message)
  say({ kind: 'open' })
  try {
    serve(cards, wake, port, say)
  } finally {
    for (const { server, link } of cards) {
      server.close()
      link.close()
    }
  }
}

function serve(
  cards: readonly ShownCard[],
  wake: Fd,
  port: MessagePort,
  say: (message: FromCards) => void,
): void {
  runCards(cards, wake, {
    wake: () => {
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
        const message: ToCards = next.message
        if (message.kind === 'close') return false
        if (message.kind === 'look') say({ kind: 'look', cards: cards.map(lookAt) })
        else for (const { card } of cards) card.linkUp = message.up
      }
      return true
    },
    refused: ({ server }, { code, message }) => {
      say({ kind: 'refused', socket: server.path, code, message })
    },
  })
}

function makeCards({ sockets, queues, mtu, faults }: CardThreadData): ShownCard[] {
  const links = createLinkPair({ queueBytes: QUEUE_BYTES })
  const made: ShownCard[] = []
  try {
    for (const [index, path] of sockets.entries()) {
      const plain = links[index % 2 === 0 ? 0 : 1]
      const link = faults === undefined ? plain : faultyLink(plain, faults)
      const mac = Uint8Array.of(...MAC, index + 1)
      const card = new Gvnic({ link, mac, queues, mtu })
      made.push({ card, link, mac, server: new DeviceServer(card, { path }) })
    }
  } catch (error) {
    for (const { server } of made) server.close()
    throw error
  }
  return made
}

function lookAt({ card, server, mac }: ShownCard): CardLook {
  return {
    socket: server.path,
    mac: Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':'),
    connected: server.connected,
    state: card.state,
    stats: card.stats,
  }
}

if (parentPort !== null) main(parentPort)
