/**
 * Other runtimes beside Node.js: Deno and Bun receive a body into memory with `fetch`, and take a
 * plain TCP stream with their own sockets. Each run is a new process.
 */

import { fileURLToPath } from 'node:url'
import { inChild } from './http.ts'
import { type HttpServer, served } from './http-server.ts'
import {
  alternate,
  type Context,
  type Figure,
  type Measure,
  measure,
  type Sample,
} from './measure.ts'
import { has, outputOf } from './processes.ts'

const MIB = 1024 * 1024
const SCRIPT = fileURLToPath(new URL('../../bench/runtime-peer.mjs', import.meta.url))

interface Runtime {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
}

const SPEED = { unit: 'GB/s', better: 'more' } as const

const NODE: Runtime = { name: 'Node', command: process.execPath, args: [] }
const RUNTIMES: readonly Runtime[] = [
  NODE,
  { name: 'Deno', command: 'deno', args: ['run', '--quiet', '--allow-all'] },
  { name: 'Bun', command: 'bun', args: [] },
]

export const runtimes: Figure = {
  name: 'runtimes',
  about: 'an HTTP body and a TCP stream, against Node, Deno and Bun',
  run: (context) =>
    served(context, (context.quick ? 32 : 1024) * MIB, async (server) => {
      const all: Measure[] = []
      for (const runtime of RUNTIMES) all.push(...(await against(context, server, runtime)))
      return all
    }),
}

async function against(
  context: Context,
  { plain, bytes, file }: HttpServer,
  runtime: Runtime,
): Promise<readonly Measure[]> {
  const { name, command } = runtime
  if (!has(command)) {
    context.log(`  ${command} is not installed (npm install -g ${command}); not measured`)
    return []
  }
  const id = `runtimes-${name.toLowerCase()}`
  const sockets = { ours: 'netmem, for await, low-water mark', peer: `a socket of ${name}` }
  const streams = await alternate(
    context,
    () => received(NODE, 'netmem-discard', plain, bytes),
    () => received(runtime, 'discard', plain, bytes),
  )
  const measures = [
    measure(streams, 'gbPerS', {
      ...SPEED,
      ...sockets,
      id: `${id}-tcp`,
      title: `a TCP stream, discarded, against ${name}`,
    }),
    measure(streams, 'cpuPerGb', {
      ...sockets,
      id: `${id}-tcp-cpu`,
      title: `a TCP stream, discarded, against ${name}: CPU`,
      unit: 's/GB',
      better: 'less',
      note: 'user and system time of the receiver',
    }),
  ]
  // The figures of HTTP have Node's own fetch.
  if (runtime === NODE) return measures
  const fetched = { ours: 'getInto, Uint8Array', peer: `fetch().arrayBuffer() in ${name}` }
  const bodies = await alternate(
    context,
    () => inChild({ mode: 'memory', url: plain, bytes, file }),
    () => received(runtime, 'fetch', plain, bytes),
  )
  return [
    ...measures,
    measure(bodies, 'gbPerS', {
      ...SPEED,
      ...fetched,
      id: `${id}-fetch`,
      title: `HTTP, into fresh memory, against ${name}`,
    }),
    measure(bodies, 'peakRatio', {
      ...fetched,
      id: `${id}-peak`,
      title: `HTTP, into fresh memory, against ${name}: resident memory`,
      unit: '× payload',
      better: 'less',
      note: '(peak − base) ÷ payload',
    }),
  ]
}

async function received(
  { command, args }: Runtime,
  way: string,
  url: string,
  bytes: number,
): Promise<Sample> {
  const output = await outputOf(command, [...args, SCRIPT, way, url, String(bytes)])
  return JSON.parse(output) as Sample
}
