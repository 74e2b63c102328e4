/** One TLS connection from `openssl s_client`: netmem against Node's `data` events. */

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { alternate, type Figure, measure } from './measure.ts'
import { Child, cpuSecondsOf, has, outputOf, Program } from './processes.ts'
import type { TlsRequest } from './tls.child.ts'

const MIB = 1024 * 1024

export const tls: Figure = {
  name: 'tls',
  about: "one TLS connection from openssl s_client, against Node's data events",
  run: async (context) => {
    if (!has('openssl', 'version')) {
      context.log(
        '  openssl is not installed (on Debian: apt-get install -y openssl); not measured',
      )
      return []
    }
    const bytes = context.quick ? 64 * MIB : 2048 * MIB
    const [key, cert] = await certificate()
    await using ours = new Child('tls', 'netmem', key, cert)
    await using peer = new Child('tls', 'data', key, cert)
    const oursPort = await ours.next<number>()
    const peerPort = await peer.next<number>()
    const receive = (child: Child, port: number) => (): Promise<TlsSample> =>
      send(port, child, { warmUp: Math.min(bytes, 256 * MIB), bytes })
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
        title: 'its CPU',
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

/** Has s_client send zeros until the receiver has counted enough. */
async function send(port: number, receiver: Child, request: TlsRequest): Promise<TlsSample> {
  const answer = receiver.ask<Omit<TlsSample, 'senderBusy'>>(request)
  const zeros = openSync('/dev/zero', 'r')
  const startedAt = performance.now()
  const args = ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`]
  await using sender = new Program('openssl', args, zeros)
  closeSync(zeros)
  // It is killed before it is reaped, so what it used is read off while it waits for more.
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
