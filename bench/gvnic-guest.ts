/**
 * Figures of the card with a guest: Debian's kernel receives into device memory and sends out of it, in
 * netmem, in C and through socat. The peer is this machine's kernel, behind a TAP interface.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { on, once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openCard } from 'netmem/gvnic'
import { type Context, type Measure, measure, type Sample } from './measure.ts'
import { has } from './processes.ts'

const MIB = 2 ** 20
const ROUNDS = 5
/**
 * Rounds that are not counted. On an emulated processor the engine's threads compile until the fourth: they
 * took as much time as the receiver there, and none from the fifth on.
 */
const WARM_UP_ROUNDS = 4
/** The same of what the guest sends, which makes fewer calls of JavaScript for a byte. */
const SEND_WARM_UP_ROUNDS = 2
const MTU = 4148
const TAP = 'nmbench0'
const HOST = '198.51.100.1'
const GUEST = '198.51.100.2'
const PORTS = { socat: 5301, netmem: 5302, c: 5303, send: 5304 } as const
const RECEIVE_BYTES = 96 * MIB
const SEND_BYTES = 96 * MIB
/** Limit from the script's begin to power off. */
const TIMEOUT_MS = 150_000
const BENCH = fileURLToPath(new URL('../../bench/', import.meta.url))

type RunInGuest = (
  script: string,
  options: object,
) => Promise<{ readonly exitCode: number; readonly output: string }>

/** Returns why there is no guest here. */
function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'a TAP interface with an address takes root'
  for (const command of ['socat', 'cc']) {
    if (!has(command, command === 'socat' ? '-V' : '--version')) return `there is no ${command}`
  }
  return undefined
}

export async function guestFigures(context: Context): Promise<readonly Measure[]> {
  const reason = missing()
  if (reason !== undefined) {
    context.log(`  no figures of a guest: ${reason}`)
    return []
  }
  const { runInGuest }: { readonly runInGuest: RunInGuest } = await import(
    new URL('../test/guest/guest.js', import.meta.url).href
  )
  const { debianClosure }: { debianClosure(name: string): Promise<string> } = await import(
    new URL('../test/guest/debian.js', import.meta.url).href
  )
  const folder = mkdtempSync(join(tmpdir(), 'netmem-bench-'))
  try {
    const receiver = join(folder, 'receiver')
    execFileSync('cc', ['-O2', '-static', '-o', receiver, join(BENCH, 'gvnic-receiver.c')])
    const socket = join(folder, 'card')
    const link = { kind: 'tap', name: TAP } as const
    await using card = await openCard({ socket, link, queues: 2, mtu: MTU })
    ip('link', 'set', TAP, 'mtu', String(MTU))
    ip('addr', 'add', `${HOST}/24`, 'dev', TAP)
    ip('link', 'set', TAP, 'up')
    const rounds = { receive: WARM_UP_ROUNDS + ROUNDS, send: SEND_WARM_UP_ROUNDS + ROUNDS }
    const facts = { host: HOST, guest: GUEST, mtu: MTU, rounds, sendBytes: SEND_BYTES }
    const sink = createServer().listen(PORTS.send, HOST)
    const ended = new AbortController()
    const guest = runInGuest(
      `chmod +x receiver && exec node in-guest.mjs '${JSON.stringify({ ...facts, ports: PORTS })}'`,
      {
        files: {
          'in-guest.mjs': readFileSync(join(BENCH, 'gvnic-in-guest.mjs')),
          receiver: readFileSync(receiver),
        },
        network: [{ kind: 'gvnic', socket }],
        environment: { ETHTOOL: await debianClosure('ethtool') },
        timeoutMs: TIMEOUT_MS,
        onOutput: (bytes: Buffer) => context.log(`  guest: ${bytes.toString().trim()}`),
      },
    ).finally(() => ended.abort())
    const transfers = transferAll(context, sink, ended.signal)
    const [{ exitCode, output }, samples] = await Promise.all([guest, transfers])
    sink.close()
    if (exitCode !== 0) throw new Error(`the guest ended with ${exitCode}: ${output}`)
    const { linear } = JSON.parse(output.trim().split('\n').at(-1) ?? '')
    const drops = (await card.look()).map(({ stats }) => stats.device.rx_hw_drops)
    context.log(`  bytes in host memory: ${JSON.stringify(linear)}; frames dropped: ${drops}`)
    return measuresOf({ ...samples, linear: linear.netmem })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}

interface Transfers {
  readonly socat: readonly Sample[]
  readonly netmem: readonly Sample[]
  readonly c: readonly Sample[]
  readonly sent: readonly Sample[]
  readonly sentBySocat: readonly Sample[]
}

/** Sends to the guest's receivers in turn, and then receives from its senders. */
async function transferAll(
  context: Context,
  sink: Server,
  signal: AbortSignal,
): Promise<Transfers> {
  // A connection may come before the end of the last one has been read: none is missed.
  const connections = on(sink, 'connection', { signal })
  const socat: Sample[] = []
  const netmem: Sample[] = []
  const c: Sample[] = []
  for (let round = 1 - WARM_UP_ROUNDS; round <= ROUNDS; round++) {
    socat.push(await send(PORTS.socat, signal))
    netmem.push(await send(PORTS.netmem, signal))
    c.push(await send(PORTS.c, signal))
    const now = [netmem, socat, c].map((samples) => samples.at(-1)?.['mbPerS']?.toFixed(1))
    context.log(`  received ${round} of ${ROUNDS}: netmem ${now[0]}, socat ${now[1]}, C ${now[2]}`)
  }
  const sent: Sample[] = []
  const sentBySocat: Sample[] = []
  for (let round = 1 - SEND_WARM_UP_ROUNDS; round <= ROUNDS; round++) {
    sent.push(await receive(connections, signal))
    sentBySocat.push(await receive(connections, signal))
    const now = [sent, sentBySocat].map((samples) => samples.at(-1)?.['mbPerS']?.toFixed(1))
    context.log(`  sent ${round} of ${ROUNDS}: netmem ${now[0]}, socat ${now[1]}`)
  }
  const counted = (samples: readonly Sample[]) => samples.slice(-ROUNDS)
  return {
    socat: counted(socat),
    netmem: counted(netmem),
    c: counted(c),
    sent: counted(sent),
    sentBySocat: counted(sentBySocat),
  }
}

/** Connects to a receiver of the guest once it listens, and sends. */
async function send(port: number, signal: AbortSignal): Promise<Sample> {
  const chunk = Buffer.alloc(MIB, 0x5a)
  const socket = await connected(port, signal)
  const beganMs = performance.now()
  for (let left = RECEIVE_BYTES; left > 0; left -= chunk.length) {
    if (!socket.write(chunk)) await once(socket, 'drain', { signal })
  }
  socket.end()
  socket.resume()
  await once(socket, 'close', { signal })
  return { mbPerS: RECEIVE_BYTES / 1e3 / (performance.now() - beganMs) }
}

async function connected(port: number, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    signal.throwIfAborted()
    const socket = connect({ host: GUEST, port, noDelay: true })
    try {
      await once(socket, 'connect')
      return socket
    } catch {
      await sleep(200)
    }
  }
}

async function receive(connections: AsyncIterator<Socket[]>, signal: AbortSignal): Promise<Sample> {
  const { value } = await connections.next()
  const [socket]: Socket[] = value ?? []
  if (socket === undefined) throw new Error('no connection')
  const beganMs = performance.now()
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  await once(socket, 'end', { signal })
  const ms = performance.now() - beganMs
  socket.end()
  if (bytes !== SEND_BYTES) throw new Error(`${bytes} of ${SEND_BYTES} bytes arrived`)
  return { mbPerS: bytes / 1e3 / ms }
}

function measuresOf(all: Transfers & { readonly linear: number }): readonly Measure[] {
  const pairs = (ours: readonly Sample[], peer: readonly Sample[]) =>
    ours.map((sample, at) => ({ ours: sample, peer: peer[at] ?? {} }))
  const sides = { unit: 'MB/s', better: 'more', ours: 'netmem' } as const
  return [
    measure(pairs(all.netmem, all.socat), 'mbPerS', {
      ...sides,
      id: 'gvnic-guest-rx',
      title: 'a guest receives into device memory, MTU 4148, coalesced',
      peer: 'socat, ordinary TCP',
      target: { of: 'ratio', is: 'at least', value: 1.1, by: 'median' },
      note: 'the guest’s processors are emulated unless there is KVM',
    }),
    measure(pairs(all.netmem, all.c), 'mbPerS', {
      ...sides,
      id: 'gvnic-guest-rx-c',
      title: 'the same against a receiver in C',
      peer: 'C, the same batches',
      target: { of: 'ratio', is: 'at least', value: 0.5, by: 'median' },
    }),
    measure(pairs(all.sent, all.sentBySocat), 'mbPerS', {
      ...sides,
      id: 'gvnic-guest-tx',
      title: 'a guest sends out of device memory, TSO',
      peer: 'socat, ordinary TCP',
      target: { of: 'ratio', is: 'at least', value: 1.2, by: 'median' },
    }),
    measure([{ ours: { bytes: all.linear }, peer: { bytes: all.linear } }], 'bytes', {
      ...sides,
      id: 'gvnic-guest-linear',
      title: 'payload received in host memory',
      unit: 'bytes',
      better: 'less',
      peer: 'none',
      target: { of: 'ours', is: 'at most', value: 0, by: 'worst' },
    }),
  ]
}
