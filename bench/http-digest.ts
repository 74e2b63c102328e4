/**
 * A body with its digest, which should be ready as soon as hashing alone would be. Server, receiver
 * and hash are three busy threads, and where there are two processors, it is their scheduler that
 * decides how long the hash waits: so once as it comes, and once with server and receiver kept to
 * one processor, which has to be enough for both.
 */

import { availableParallelism } from 'node:os'
import type { HttpMode } from './http.child.ts'
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
import { keepToOneProcessor } from './processes.ts'

const MIB = 1024 * 1024

export const httpDigest: Figure = {
  name: 'http-digest',
  about: 'HTTP bodies with their SHA-256, against SHA-256 alone',
  run: (context) =>
    served(context, (context.quick ? 32 : 1024) * MIB, (server) => digest(context, server)),
}

async function digest(context: Context, server: HttpServer): Promise<Measure[]> {
  const { plain, read, bytes, file } = server
  const alone = (): Promise<Sample> => inChild({ mode: 'sha256-alone', url: plain, bytes, file })
  const processors = `${availableParallelism()} processors`
  const sides = {
    unit: 'GB/s',
    better: 'more',
    ours: 'getInto, sha256',
    peer: 'sha256 alone',
  } as const
  const against = (mode: HttpMode, url: string): ReturnType<typeof alternate> =>
    alternate(context, () => inChild({ mode, url, bytes, file }), alone)
  const sendfile = await against('sha256', plain)
  const anywhere = await against('sha256', read)
  if (!keepToOneProcessor(server.pid)) {
    context.log('  server and receiver run where the system has them: this needs Linux and taskset')
  }
  const apart = await against('sha256-apart', read)
  return [
    measure(apart, 'gbPerS', {
      ...sides,
      id: 'http-sha256',
      title: 'HTTP, with its digest: server and receiver on one processor',
      target: { of: 'ratio', is: 'at least', value: 0.95, by: 'median' },
    }),
    measure(anywhere, 'gbPerS', {
      ...sides,
      id: 'http-sha256-anywhere',
      title: 'HTTP, with its digest: server, receiver and hash anywhere',
      note: processors,
    }),
    measure(sendfile, 'gbPerS', {
      ...sides,
      id: 'http-sha256-sendfile',
      title: 'HTTP, with its digest: the same, the server with sendfile',
      note: processors,
    }),
  ]
}
