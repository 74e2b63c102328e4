/**
 * Whole HTTP bodies: netmem against `fetch`, curl and undici, with nginx as the server. Each body of
 * the first figures goes to a process of its own, so that memory is fresh and its peak known; the
 * files are in /dev/shm, where no disk is measured.
 */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpMode, HttpRequest } from './http.child.ts'
import {
  alternate,
  type Context,
  type Description,
  type Figure,
  type Measure,
  measure,
  type Sample,
} from './measure.ts'
import { Child, freePort, has, outputOf, Program } from './processes.ts'

const MIB = 1024 * 1024
const SMALL_BYTES = 4096
const RANGES = 4
/** What the server gives each connection where it limits them. */
const LIMIT = '100m'

export const http: Figure = {
  name: 'http',
  about: 'HTTP bodies into memory, files and pools, against fetch and curl',
  run: (context) =>
    served(context, (context.quick ? 32 : 1024) * MIB, async (server) => [
      ...(await bodies(context, server)),
      ...(await ranges(context, server)),
    ]),
}

/** A figure of its own, so that it can be run alone. */
export const httpSmall: Figure = {
  name: 'http-small',
  about: 'small HTTP bodies over connections that are kept, against undici',
  run: (context) => served(context, MIB, (server) => small(context, server)),
}

/** What `run` measures with nginx as the server, whose large body has `bytes`. */
async function served(
  context: Context,
  bytes: number,
  run: (server: Server) => Promise<readonly Measure[]>,
): Promise<readonly Measure[]> {
  for (const [program, flag] of [
    ['nginx', '-v'],
    ['curl', '--version'],
    ['openssl', 'version'],
  ] as const) {
    if (has(program, flag)) continue
    context.log(
      `  ${program} is not installed (on Debian: apt-get install -y ${program}); not measured`,
    )
    return []
  }
  if (!existsSync('/dev/shm')) {
    context.log('  there is no /dev/shm; not measured')
    return []
  }
  const folder = mkdtempSync('/dev/shm/netmem-bench-')
  try {
    await using server = await Server.start(folder, bytes)
    return await run(server)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface Comparison {
  readonly ours: () => Promise<Sample>
  readonly peer: () => Promise<Sample>
  readonly measures: readonly (Description & { readonly metric: string })[]
}

async function bodies(context: Context, server: Server): Promise<Measure[]> {
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
      ours: ours('sha256'),
      peer: ours('sha256-alone'),
      measures: [
        {
          ...speed,
          id: 'http-sha256',
          title: 'HTTP, with its digest, into memory used before',
          ours: 'getInto, sha256',
          peer: 'sha256 alone',
          ...atLeast(0.95),
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

async function ranges(context: Context, { limited, bytes, file }: Server): Promise<Measure[]> {
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

async function small(context: Context, { small, file }: Server): Promise<Measure[]> {
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

async function inChild(request: HttpRequest): Promise<Sample> {
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

/** nginx, with a body in /dev/shm. */
class Server implements AsyncDisposable {
  readonly #program: Program
  readonly plain: string
  readonly secure: string
  readonly limited: string
  readonly small: string
  /** A certificate to trust. */
  readonly ca: string
  readonly bytes: number
  /** A path for what is received. */
  readonly file: string

  private constructor(
    program: Program,
    folder: string,
    ports: readonly [number, number],
    bytes: number,
  ) {
    this.#program = program
    const [port, securePort] = ports
    this.plain = `http://127.0.0.1:${port}/body`
    this.limited = `http://127.0.0.1:${port}/limited/body`
    this.small = `http://127.0.0.1:${port}/small`
    this.secure = `https://127.0.0.1:${securePort}/body`
    this.ca = join(folder, 'cert.pem')
    this.bytes = bytes
    this.file = join(folder, 'received')
  }

  static async start(folder: string, bytes: number): Promise<Server> {
    chmodSync(folder, 0o755)
    const root = join(folder, 'root')
    mkdirSync(root)
    const block = Buffer.alloc(MIB, 'netmem ')
    for (let at = 0; at < bytes; at += MIB) writeFileSync(join(root, 'body'), block, { flag: 'a' })
    writeFileSync(join(root, 'small'), block.subarray(0, SMALL_BYTES))
    const key = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    await outputOf('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '1',
      ...names,
      ...key,
    ])
    const ports = [await freePort(), await freePort()] as const
    writeFileSync(join(folder, 'nginx.conf'), configuration(folder, root, ports))
    const program = new Program('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')])
    await listens(ports[0])
    return new Server(program, folder, ports, bytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]()
  }
}

/** One process, no master: what ends it ends all of it. */
function configuration(folder: string, root: string, ports: readonly [number, number]): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events {}
    http {
      access_log off; sendfile on; keepalive_requests 10000000;
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      server {
        listen 127.0.0.1:${ports[0]}; root ${root};
        location /limited/ { alias ${root}/; limit_rate ${LIMIT}; }
      }
      server {
        listen 127.0.0.1:${ports[1]} ssl; root ${root};
        ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;
      }
    }`
}

async function listens(port: number): Promise<void> {
  for (let i = 0; i < 250; i++) {
    const socket = connect(port, '127.0.0.1')
    const connected = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (connected === true) return
    await sleep(20)
  }
  throw new Error('nginx does not listen')
}
