/** A TAP interface in a network namespace of the test's own, and a TCP peer behind it. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { CLONE_NEWNET, O_RDONLY, open, setns } from '../../../linux/sys/index.ts'
import { pumping } from '../../../testing/waiting.test.helper.ts'
import { buildTcpFrame } from '../../../wire/build-frame.test.helper.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import { ACK, FIN, PSH, SYN } from '../../../wire/tcp.ts'
import { pattern } from '../../device/nic/frames.test.helper.ts'
import { emptyFrame, type Link, type LinkFrame } from '../link.ts'

export const skip: string | false =
  process.platform !== 'linux'
    ? 'needs Linux'
    : process.getuid?.() !== 0
      ? 'needs root: run it with sudo'
      : !existsSync('/dev/net/tun') && 'needs /dev/net/tun: modprobe tun'

/** The kernel's address, and the one behind the TAP interface. */
export const KERNEL = '10.9.0.1'
export const PEER = '10.9.0.2'
export const PEER_MAC = '02:00:00:00:00:02'
/** Payload of a segment on a link whose MTU is 1500. */
export const MSS = 1460

/** Runs `ip` with arguments. */
export function ip(...options: string[]): string {
  return execFileSync('ip', options, { encoding: 'utf8' })
}

/**
 * Gives the interface an address, takes it up, and tells the kernel where the peer is.
 *
 * It has no IPv6 address, so the kernel sends nothing of its own accord.
 */
export function configure(name: string): void {
  ip('link', 'set', name, 'addrgenmode', 'none')
  ip('addr', 'add', `${KERNEL}/24`, 'dev', name)
  ip('link', 'set', name, 'up')
  ip('neigh', 'replace', PEER, 'lladdr', PEER_MAC, 'dev', name)
}

/** MAC address of an interface. */
export function macOf(name: string): string {
  return /link\/ether (\S+)/.exec(ip('-o', 'link', 'show', name))?.[1] ?? ''
}

/** Calls `test` with this thread, and the threads and processes that it starts, in a fresh namespace. */
export async function namespaced(test: () => Promise<void> | void): Promise<void> {
  const name = `netmem-tap-${process.pid}`
  ip('netns', 'add', name)
  const home = open('/proc/thread-self/ns/net', O_RDONLY)
  try {
    const namespace = open(`/run/netns/${name}`, O_RDONLY)
    setns(namespace.fd, CLONE_NEWNET)
    namespace.close()
    await test()
  } finally {
    setns(home.fd, CLONE_NEWNET)
    home.close()
    ip('netns', 'delete', name)
  }
}

/**
 * One TCP connection of the kernel's, answered by hand, and without loss. The kernel sends again what a
 * busy machine acknowledges late.
 */
export class TcpPeer {
  /** Frames with payload that arrived, by what was said of them. */
  readonly arrived: { readonly segmentBytes: number; readonly checksum: string }[] = []
  /** Payload that arrived, in order. */
  readonly received: Uint8Array[] = []
  connected = false
  finished = false
  readonly #link: Link
  readonly #mac: string
  readonly #layout = new FrameLayout()
  readonly #memory = createFrameMemory(2 ** 17)
  readonly #frame: LinkFrame = emptyFrame(this.#memory)
  #port = 0
  #remotePort = 0
  #seq = 1000
  #ack = 0

  /** @param mac address of the kernel's end. */
  constructor(link: Link, mac: string) {
    this.#link = link
    this.#mac = mac
  }

  /** Handles all frames that are there. */
  pump(): void {
    for (let frame = this.#link.receive(0); frame !== undefined; frame = this.#link.receive(0)) {
      this.#take(frame)
    }
  }

  /** Sends a frame of payload: a large one if it has more than {@link MSS} bytes. */
  send(payload: Uint8Array): void {
    this.#send(ACK | PSH, payload, payload.length > MSS ? MSS : 0)
    this.#seq += payload.length
  }

  #take(frame: LinkFrame): void {
    const { bytes } = frame.memory
    const layout = parseFrame(bytes, frame.offset, frame.length, this.#layout)
    if (layout.kind !== FrameKind.tcp) return
    if ((layout.tcpFlags & SYN) !== 0) {
      if (this.#port === 0) {
        this.#port = layout.destinationPort
        this.#remotePort = layout.sourcePort
        this.#ack = (layout.seq + 1) | 0
        this.#send(SYN | ACK, new Uint8Array(0), 0)
        this.#seq++
      }
      return
    }
    this.connected = true
    const { payloadLength, headerLength } = layout
    if (payloadLength === 0 && (layout.tcpFlags & FIN) === 0) return
    const known = (this.#ack - layout.seq) | 0
    assert.ok(known >= 0, 'no segment is lost')
    if (payloadLength > known) {
      const at = frame.offset + headerLength
      this.received.push(bytes.slice(at + known, at + payloadLength))
      this.arrived.push({ segmentBytes: frame.segmentBytes, checksum: frame.checksum })
      this.#ack = (this.#ack + payloadLength - known) | 0
    }
    if ((layout.tcpFlags & FIN) !== 0 && !this.finished) {
      this.finished = true
      this.#ack = (this.#ack + 1) | 0
    }
    this.#send(ACK, new Uint8Array(0), 0)
  }

  #send(flags: number, payload: Uint8Array, segmentBytes: number): void {
    const isPartial = this.#link.features.partialChecksums
    const options = {
      sourceMac: PEER_MAC,
      destinationMac: this.#mac,
      source: PEER,
      destination: KERNEL,
      sourcePort: this.#port,
      destinationPort: this.#remotePort,
      seq: this.#seq,
      ack: this.#ack,
      flags,
      payload,
      checksum: isPartial ? 'partial' : 'complete',
      ...((flags & SYN) === 0 ? {} : { mssBytes: MSS }),
    } as const
    const frame = this.#frame
    frame.length = buildTcpFrame(options, this.#memory, 0)
    frame.originalLength = frame.length
    frame.checksum = options.checksum
    frame.segmentBytes = segmentBytes
    this.#link.transmit(frame, 0)
  }
}

/**
 * Connects a socket of the kernel to `peer`, and carries payload both ways: `bytes` bytes to the peer,
 * then 20 segments from it, as one large frame if `large`.
 */
export async function exchangeTcp(peer: TcpPeer, bytes: number, large: boolean): Promise<void> {
  const pump = (): void => peer.pump()
  const socket = connect(5001, PEER)
  let opened = false
  socket.once('connect', () => {
    opened = true
  })
  await pumping(pump, () => opened)
  const data = pattern(bytes)
  socket.write(data)
  await pumping(pump, () => bytesOf(peer.received) === bytes)
  assert.deepEqual(new Uint8Array(Buffer.concat(peer.received)), data)
  const chunks: Uint8Array[] = []
  socket.on('data', (chunk) => void chunks.push(chunk))
  const back = pattern(20 * MSS, 1)
  const frameBytes = large ? back.length : MSS
  for (let at = 0; at < back.length; at += frameBytes) peer.send(back.slice(at, at + frameBytes))
  await pumping(pump, () => bytesOf(chunks) === back.length)
  assert.deepEqual(new Uint8Array(Buffer.concat(chunks)), back)
  socket.end()
  await pumping(pump, () => peer.finished)
  socket.destroy()
  await once(socket, 'close')
}

function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0)
}
