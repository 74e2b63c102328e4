/** The sender of the TCP figures: one `iperf3 -c`, for any server of the protocol. */

import { existsSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Child, freePort, has, outputOf, Program } from './processes.ts'

const HOST = '127.0.0.1'
const TCP_TABLE = '/proc/net/tcp'

/** Part of the client's report of a test. */
interface Report {
  readonly end: {
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number }
    readonly sum_sent: { readonly bytes: number; readonly seconds: number }
    readonly cpu_utilization_percent: { readonly host_total: number; readonly remote_total: number }
  }
}

export const MISSING_IPERF3 =
  'iperf3 is not installed (on Debian: apt-get install -y iperf3); not measured'

export function hasIperf3(): boolean {
  return has('iperf3')
}

/** A server that a test is run against, with what ends it. */
export interface Target extends AsyncDisposable {
  readonly port: number
}

/** Starts `iperf3 -s`, with a library loaded into it or without. */
export async function iperf3Server(preload?: string): Promise<Target> {
  const port = await freePort()
  const env = preload === undefined ? {} : { LD_PRELOAD: preload }
  const program = new Program('iperf3', ['-s', '-B', HOST, '-p', String(port)], { env })
  await listens(port)
  return { port, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() }
}

/** Waits until a server listens, where Linux tells, or a while. A connection would be a test to it. */
async function listens(port: number): Promise<void> {
  if (!existsSync(TCP_TABLE)) return await setTimeout(300)
  const number = port.toString(16).toUpperCase().padStart(4, '0')
  // proc(5): the local address, the remote one, and the state, of which 0A is LISTEN.
  const row = new RegExp(`:${number} \\w+:0000 0A `)
  for (let waited = 0; waited < 500; waited++) {
    if (row.test(readFileSync(TCP_TABLE, 'utf8'))) return
    await setTimeout(20)
  }
}

/**
 * Starts netmem's server code in a new process. `reads` is the receive path, pages have the default
 * size unless told. Low-water marks are there, as in `netmem iperf3`, unless it is `plain`.
 */
export async function netmemServer(
  reads: 'receive' | 'for-await' | 'plain' | 'data',
  pageSize?: number,
): Promise<Target> {
  const child = new Child('iperf3-server', reads, String(pageSize ?? ''))
  const port = await child.next<number>()
  return { port, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() }
}

/** Upper bound of both sockets' buffers: net.ipv4.tcp_rmem and tcp_wmem have 36 MiB together (Linux 6.18). */
const IN_FLIGHT_BYTES = 40 * 1024 * 1024

/**
 * Ways that the client sends. `-c` alone copies what it sends, which on loopback takes as much of a core
 * as receiving does. With `-Z` (sendfile) it is faster than any receiver, and what the receiver can
 * do shows.
 */
export type Sender = 'copying' | 'zero-copy'

/** Runs one test. The receiver's speed and CPU are what the server reported. */
export async function runIperf3(
  port: number,
  seconds: number,
  sender: Sender,
): Promise<{ gbPerS: number; cpuPerGb: number; senderBusy: number }> {
  const args = ['-c', HOST, '-p', String(port), '-t', String(seconds), '-J']
  if (sender === 'zero-copy') args.push('-Z')
  const report = JSON.parse(await outputOf('iperf3', args)) as Report
  const { sum_received, sum_sent, cpu_utilization_percent: cpu } = report.end
  // Bytes in flight at the end of the test alone may be missing: what the sockets' buffers hold.
  const missing = sum_sent.bytes - sum_received.bytes
  if (missing < 0 || missing > Math.max(IN_FLIGHT_BYTES, sum_sent.bytes * 0.05)) {
    throw new Error(`iperf3 sent ${sum_sent.bytes} bytes; ${sum_received.bytes} were received`)
  }
  const gigabytes = sum_received.bytes / 1e9
  return {
    gbPerS: sum_received.bits_per_second / 8e9,
    cpuPerGb: ((cpu.remote_total / 100) * sum_sent.seconds) / gigabytes,
    senderBusy: cpu.host_total / 100,
  }
}
