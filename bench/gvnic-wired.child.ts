/**
 * Time of the cards' thread for TSO packets that one card sends and the one wired to it receives, or of a
 * bare copy in the same pieces of 4 KiB. Driver models work between the rounds, and count for nothing.
 */

import { Gvnic } from 'netmem/gvnic'
import { createLinkPair, type Link } from 'netmem/stack/link'
import { DriverModel } from './internals.ts'
import { median } from './measure.ts'
import { answer } from './processes.ts'
import { HEADER_BYTES, writeHeaders } from './tcp-frame.ts'

export interface WiredRequest {
  /** The first request settles it. */
  readonly way: 'cards' | 'copy'
  readonly rounds: number
}

const PIECE_BYTES = 4096
/** Pieces of a packet, which with its headers is as long as an IP packet may be. */
const PIECES = 15
const PACKETS_PER_ROUND = 48
const ENTRIES = 1024
const ROUND_BYTES = PACKETS_PER_ROUND * PIECES * PIECE_BYTES
/** Pages that are sent, one after the other: so many packets' as a sender has under way. */
const PAGES = 64 * PIECES
const RAM = { regionBytes: 2 ** 25 } as const

/** A way to measure: each call is a round. Returns its ms. */
type Way = () => number

function openCard(link: Link, mac: number): readonly [Gvnic, DriverModel] {
  const gvnic = new Gvnic({ link, mac: Uint8Array.of(2, 0, 0, 0, 0, mac), queues: 1, mtu: 4148 })
  const driver = new DriverModel(gvnic, RAM)
  driver.probe()
  driver.open({ split: true, coalesce: true, bufferBytes: PIECE_BYTES, entries: ENTRIES })
  return [gvnic, driver]
}

function cards(): Way {
  const [near, far] = createLinkPair({ queueBytes: 2 ** 24 })
  const [sending, sender] = openCard(near, 1)
  const [receiving, receiver] = openCard(far, 2)
  const headers = sender.memory.allocate(PIECE_BYTES)
  const pages = sender.memory.allocate(PAGES * PIECE_BYTES)
  sender.memory.memory(pages, PAGES * PIECE_BYTES).fill(0x5a)
  writeHeaders(sender.memory.memory(headers, HEADER_BYTES), PIECES * PIECE_BYTES)
  const options = { checksum: true, segmentBytes: PIECE_BYTES, headerBytes: HEADER_BYTES }
  // Made once: a driver on another processor would leave no garbage in the caches of the cards' thread.
  const packets = Array.from({ length: PAGES / PIECES }, (_, packet) => [
    { address: headers, bytes: HEADER_BYTES },
    ...Array.from({ length: PIECES }, (_, piece) => ({
      address: pages + (packet * PIECES + piece) * PIECE_BYTES,
      bytes: PIECE_BYTES,
    })),
  ])
  let next = 0
  const send = (): void => {
    const pieces = packets[next] ?? []
    next = (next + 1) % packets.length
    if (sender.sendPieces(0, pieces, options) < 0) throw new Error('no room for a packet')
  }
  return () => {
    receiver.rx[0]?.post()
    for (let packet = 0; packet < PACKETS_PER_ROUND; packet++) send()
    const beganMs = performance.now()
    while (sending.poll(0) + receiving.poll(0) > 0);
    const ms = performance.now() - beganMs
    sender.tx[0]?.poll()
    const packets = receiver.rx[0]?.discard()
    if (packets !== PACKETS_PER_ROUND) throw new Error(`${packets} packets were received`)
    return ms
  }
}

function copy(): Way {
  const pagesOf = (count: number): readonly Uint8Array[] => {
    const memory = new Uint8Array(RAM.regionBytes).fill(0x5a)
    return Array.from({ length: count }, (_, page) =>
      memory.subarray(page * PIECE_BYTES, (page + 1) * PIECE_BYTES),
    )
  }
  const from = pagesOf(PAGES)
  const to = pagesOf(ENTRIES)
  let piece = 0
  return () => {
    const beganMs = performance.now()
    for (const end = piece + ROUND_BYTES / PIECE_BYTES; piece < end; piece++) {
      const page = from[piece % PAGES]
      if (page !== undefined) to[piece % ENTRIES]?.set(page)
    }
    return performance.now() - beganMs
  }
}

let way: Way | undefined

answer(async ({ way: kind, rounds }: WiredRequest) => {
  way ??= kind === 'cards' ? cards() : copy()
  const msPerRound: number[] = []
  for (let round = 0; round < rounds; round++) msPerRound.push(way())
  // The median leaves out rounds that were interrupted.
  return { cpuPerGb: median(msPerRound) / 1e3 / (ROUND_BYTES / 1e9) }
})
