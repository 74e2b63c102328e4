/** The server of the HTTP benchmarks: nginx, with a body in /dev/shm, where no disk is measured. */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context, Measure } from './measure.ts'
import { freePort, has, outputOf, Program } from './processes.ts'

const MIB = 1024 * 1024
export const SMALL_BYTES = 4096
/** Rate limit of each connection under `/limited`. */
const LIMIT = '100m'

/** Runs `run` with nginx as the server, whose large body has `bytes` bytes. Returns its measures. */
export async function served(
  context: Context,
  bytes: number,
  run: (server: HttpServer) => Promise<readonly Measure[]>,
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
    await using server = await HttpServer.start(folder, bytes)
    return await run(server)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export class HttpServer implements AsyncDisposable {
  readonly #program: Program
  readonly plain: string
  /** The same, read into the server's memory and written: less of a processor than sendfile takes. */
  readonly read: string
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
    this.read = `http://127.0.0.1:${port}/read/body`
    this.limited = `http://127.0.0.1:${port}/limited/body`
    this.small = `http://127.0.0.1:${port}/small`
    this.secure = `https://127.0.0.1:${securePort}/body`
    this.ca = join(folder, 'cert.pem')
    this.bytes = bytes
    this.file = join(folder, 'received')
  }

  static async start(folder: string, bytes: number): Promise<HttpServer> {
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
    return new HttpServer(program, folder, ports, bytes)
  }

  get pid(): number {
    return this.#program.pid
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
        location /read/ { alias ${root}/; sendfile off; output_buffers 2 256k; }
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
