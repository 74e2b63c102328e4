/**
 * One TLS connection: netmem against Node's `data` events. The sender is the same for both, and
 * sends records of 16 KiB as servers do. It is the fastest there is, since a receiver cannot be faster
 * than its sender:
 * - `tls-sender.c`, where OpenSSL's headers and a compiler are,
 * - else `socat`, which is busy for as long as the receiver,
 * - else `openssl s_client`, whose records of 8 KiB cost OpenSSL twice the work on both sides.
 */

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Compiled, compile } from './compile.ts'
import { alternate, type Figure, measure } from './measure.ts'
import { Child, cpuSecondsOf, has, outputOf, Program } from './processes.ts'
import type { TlsRequest } from './tls.child.ts'

const MIB = 1024 * 1024
/** The largest TLS record (RFC 8446, 5.1). */
const RECORD = 16 * 1024

export const tls: Figure = {
  name: 'tls',
  about: "one TLS connection, against Node's data events",
  run: async (context) => {
    if (!has('openssl', 'version')) {
      context.log(
        '  openssl is not installed (on Debian: apt-get install -y openssl); not measured',
      )
      return []
    }
    const bytes = context.quick ? 64 * MIB : 2048 * MIB
    const [key, cert] = await certificate()
    using compiled = await compileSender()
    await using ours = new Child('tls', 'netmem', key, cert)
    await using peer = new Child('tls', 'data', key, cert)
    const oursPort = await ours.next<number>()
    const peerPort = await peer.next<number>()
    const receive = (child: Child, port: number) => (): Promise<TlsSample> =>
      send(port, child, compiled, { warmUp: Math.min(bytes, 256 * MIB), bytes })
    const samples = await alternate(context, receive(ours, oursPort), receive(peer, peerPort))
    const sides = { ours: 'netmem, for await', peer: 'Node data events' }
    return [
      measure(samples, 'gbPerS', {
        id: 'tls',
        title: "TLS against Node's data events",
        unit: 'GB/s',
        better: 'more',
        ...sides,
        target: { of: 'ratio', is: 'at least', value: 1.3, by: 'median' },
      }),
      measure(samples, 'cpuPerGb', {
        id: 'tls-cpu',
        title: "TLS against Node's data events: CPU",
        unit: 's/GB',
        better: 'less',
        ...sides,
        note: 'user and system time of the receiver, decryption included',
      }),
    ]
  },
}

type TlsSample = {
  readonly gbPerS: number
  readonly cpuPerGb: number
  /** Seconds of CPU that the sender used per second, warm-up included: 1 is all of a core. */
  readonly senderBusy: number
}

/** Has the sender send zeros until the receiver has counted enough. */
async function send(
  port: number,
  receiver: Child,
  compiled: Compiled | undefined,
  request: TlsRequest,
): Promise<TlsSample> {
  const answer = receiver.ask<Omit<TlsSample, 'senderBusy'>>(request)
  const startedAt = performance.now()
  await using sender = sendZeros(port, compiled)
  // Read while the process runs: its CPU time is gone once it has ended.
  let senderBusy = Number.NaN
  const looking = setInterval(() => {
    senderBusy = cpuSecondsOf(sender.pid) / ((performance.now() - startedAt) / 1000)
  }, 100)
  try {
    const sample = await answer
    return { ...sample, senderBusy }
  } finally {
    clearInterval(looking)
  }
}

/** `undefined` without a compiler or OpenSSL's headers. */
async function compileSender(): Promise<Compiled | undefined> {
  try {
    return await compile('tls-sender.c', '-lssl', '-lcrypto')
  } catch {
    return undefined
  }
}

function sendZeros(port: number, compiled: Compiled | undefined): Program {
  if (compiled !== undefined) return new Program(compiled.path, [String(port)])
  const address = `127.0.0.1:${port}`
  if (has('socat', '-V')) {
    const target = `OPENSSL:${address},verify=0`
    return new Program('socat', ['-u', '-b', String(RECORD), 'OPEN:/dev/zero', target])
  }
  const zeros = openSync('/dev/zero', 'r')
  try {
    return new Program('openssl', ['s_client', '-quiet', '-connect', address], {
      input: zeros,
    })
  } finally {
    closeSync(zeros)
  }
}

/** A fresh key and certificate, for this run only. */
async function certificate(): Promise<readonly [key: string, cert: string]> {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-bench-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  try {
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj']
    await outputOf('openssl', [...args, '/CN=localhost', '-keyout', key, '-out', cert])
    return [readFileSync(key, 'utf8'), readFileSync(cert, 'utf8')]
  } finally {
    rmSync(folder, { recursive: true })
  }
}
