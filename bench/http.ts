/**
 * Whole HTTP bodies: netmem against `fetch`, curl and undici, with nginx as the server. Each body of
 * the first figures goes to a new process, so that memory is fresh and its peak known.
 */

import { rmSync } from 'node:fs'
import type { HttpMode, HttpRequest } from './http.child.ts'
import { type HttpServer, SMALL_BYTES, served } from './http-server.ts'
import {
  alternate,
  type Context,
  type Description,
  type Figure,
  type Measure,
  measure,
  type Sample,
} from './measure.ts'
import { Child, outputOf } from './processes.ts'

const MIB = 1024 * 1024
const RANGES = 4

export const http: Figure = {
  name: 'http',
  about: 'HTTP bodies into memory, files and pools, against fetch and curl',
  run: (context) =>
    served(context, (context.quick ? 32 : 1024) * MIB, async (server) => [
      ...(await bodies(context, server)),
      ...(await ranges(context, server)),
    ]),
}

/** Small bodies, which can be measured alone. */
export const httpSmall: Figure = {
  name: 'http-small',
  about: 'small HTTP bodies over connections that are kept, against undici',
  run: (context) => served(context, MIB, (server) => small(context, server)),
}

interface Comparison {
  readonly ours: () => Promise<Sample>
  readonly peer: () => Promise<Sample>
  readonly measures: readonly (Description & { readonly metric: string })[]
}

async function bodies(context: Context, server: HttpServer): Promise<Measure[]> {
  const { plain, secure, bytes, file } = server
  const ours =
    (mode: HttpMode, url = plain) =>
    (): Promise<Sample> =>
      inChild({ mode, url, bytes, file, ca: server.ca })
  const curl =
    (out: string, url = plain) =>
    (): Promise<Sample> =>
      download(url, out)
  const speed = { metric: 'gbPerS', unit: 'GB/s', better: 'more' } as const
  const atLeast = (value: number): Pick<Description, 'target'> => ({
    target: { of: 'ratio', is: 'at least', value, by: 'median' },
  })
  const comparisons: Comparison[] = [
    {
      ours: ours('memory'),
      peer: ours('fetch'),
      measures: [
        {
          ...speed,
          id: 'http-memory-fetch',
          title: 'HTTP, into fresh memory',
          ours: 'getInto, Uint8Array',
          peer: 'fetch().arrayBuffer()',
          ...atLeast(4),
        },
        {
          metric: 'peakRatio',
          id: 'http-memory-peak',
          title: 'HTTP, into fresh memory: resident memory',
          unit: '× payload',
          better: 'less',
          ours: 'getInto, Uint8Array',
          peer: 'fetch().arrayBuffer()',
          target: { of: 'ours', is: 'at most', value: 1.02, by: 'worst' },
          note: '(peak − base) ÷ payload',
        },
      ],
    },
    {
      ours: ours('memory-huge'),
      peer: curl(file),
      measures: [
        {
          ...speed,
          id: 'http-memory-curl',
          title: 'HTTP, into fresh memory',
          ours: 'getInto, hugeMemory',
          peer: 'curl -o /dev/shm/…',
          ...atLeast(1),
        },
        {
          metric: 'peakRatio',
          id: 'http-huge-peak',
          title: 'HTTP, into fresh memory in huge pages: resident memory',
          unit: '× payload',
          better: 'less',
          ours: 'getInto, hugeMemory',
          peer: 'none',
          target: { of: 'ours', is: 'at most', value: 1.02, by: 'worst' },
        },
      ],
    },
    {
      ours: ours('memory'),
      peer: curl(file),
      measures: [
        {
          ...speed,
          id: 'http-plain-curl',
          title: 'HTTP, into fresh memory of the engine’s',
          ours: 'getInto, Uint8Array',
          peer: 'curl -o /dev/shm/…',
        },
      ],
    },
    {
      ours: ours('file'),
      peer: curl(file),
      measures: [
        {
          ...speed,
          id: 'http-file-curl',
          title: 'HTTP, into a file in /dev/shm',
          ours: 'getInto, 16 MiB pool',
          peer: 'curl -o /dev/shm/…',
          ...atLeast(1),
        },
        {
          metric: 'peakMiB',
          id: 'http-file-peak',
          title: 'HTTP, into a file: resident memory over base',
          unit: 'MiB',
          better: 'less',
          ours: 'getInto, 16 MiB pool',
          peer: 'none',
          target: { of: 'ours', is: 'at most', value: 32, by: 'worst' },
        },
      ],
    },
    {
      ours: ours('pool'),
      peer: curl('/dev/null'),
      measures: [
        {
          ...speed,
          id: 'http-pool-curl',
          title: 'HTTP, through a pool, discarded',
          ours: 'getInto, 16 MiB pool',
          peer: 'curl -o /dev/null',
          ...atLeast(0.9),
        },
      ],
    },
    {
      ours: ours('memory-again'),
      peer: ours('memory'),
      measures: [
        {
          ...speed,
          id: 'http-memory-again',
          title: 'HTTP, into memory used before',
          ours: 'used before',
          peer: 'fresh',
        },
      ],
    },
    {
      ours: ours('memory', secure),
      peer: ours('fetch', secure),
      measures: [
        {
          ...speed,
          id: 'https-fetch',
          title: 'HTTPS, into fresh memory',
          ours: 'getInto, Uint8Array',
          peer: 'fetch().arrayBuffer()',
          ...atLeast(2),
        },
      ],
    },
    {
      ours: ours('memory', secure),
      peer: curl(file, secure),
      measures: [
        {
          ...speed,
          id: 'https-curl',
          title: 'HTTPS, into fresh memory',
          ours: 'getInto, Uint8Array',
          peer: 'curl -o /dev/shm/…',
        },
      ],
    },
  ]
  const all: Measure[] = []
  for (const comparison of comparisons) all.push(...(await compare(context, comparison)))
  return all
}

async function compare(context: Context, { ours, peer, measures }: Comparison): Promise<Measure[]> {
  const samples = await alternate(context, ours, peer)
  return measures.map(({ metric, ...description }) => measure(samples, metric, description))
}

async function ranges(context: Context, { limited, bytes, file }: HttpServer): Promise<Measure[]> {
  const get = (connections: number) => (): Promise<Sample> =>
    inChild({ mode: 'memory-huge', url: limited, bytes, file, connections })
  const samples = await alternate(context, get(RANGES), get(1))
  return [
    measure(samples, 'gbPerS', {
      id: 'http-ranges',
      title: 'HTTP, 100 MB/s for each connection',
      unit: 'GB/s',
      better: 'more',
      ours: `${RANGES} ranges at once`,
      peer: 'one connection',
      target: { of: 'ratio', is: 'at least', value: 3.5, by: 'median' },
    }),
  ]
}

async function small(context: Context, { small, file }: HttpServer): Promise<Measure[]> {
  const requests = context.quick ? 1000 : 100_000
  const get = (mode: HttpMode) => (): Promise<Sample> =>
    inChild({ mode, url: small, bytes: SMALL_BYTES, file, requests })
  const samples = await alternate(context, get('small'), get('small-undici'))
  return [
    measure(samples, 'perS', {
      id: 'http-small',
      title: 'HTTP, bodies of 4 KiB, 8 at a time',
      unit: '/s',
      better: 'more',
      ours: 'getInto',
      peer: 'undici',
      target: { of: 'ratio', is: 'at least', value: 1, by: 'median' },
    }),
  ]
}

/** Runs one request in a new process. */
export async function inChild(request: HttpRequest): Promise<Sample> {
  await using child = new Child('http')
  await child.next()
  return await child.ask<Sample>(request)
}

async function download(url: string, out: string): Promise<Sample> {
  if (out !== '/dev/null') rmSync(out, { force: true })
  const speed = await outputOf('curl', ['-sk', '-o', out, '-w', '%{speed_download}', url])
  if (out !== '/dev/null') rmSync(out, { force: true })
  return { gbPerS: Number(speed) / 1e9 }
}
