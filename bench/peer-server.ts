/** The peer's side of the benchmarks: Node's own server, whose sockets wait until they are asked for. */

import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

/** Listens on a free loopback port. */
export class PeerServer<S extends net.Socket = net.Socket> implements AsyncIterable<S> {
  readonly port: number
  readonly #sockets: S[] = []
  #wake = (): void => {}

  private constructor(server: net.Server, event: 'connection' | 'secureConnection') {
    const address = server.address()
    this.port = typeof address === 'object' ? (address?.port ?? 0) : 0
    server.on(event, (socket: S) => {
      this.#sockets.push(socket)
      this.#wake()
    })
  }

  static async tcp(options: net.ServerOpts = {}): Promise<PeerServer> {
    return new PeerServer(await listening(net.createServer(options)), 'connection')
  }

  static async tls(options: tls.TlsOptions): Promise<PeerServer<tls.TLSSocket>> {
    const server = await listening(tls.createServer(options))
    return new PeerServer<tls.TLSSocket>(server, 'secureConnection')
  }

  /** The next connection. */
  async accept(): Promise<S> {
    for (;;) {
      const socket = this.#sockets.shift()
      if (socket !== undefined) return socket
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<S> {
    for (;;) yield await this.accept()
  }
}

async function listening<T extends net.Server>(server: T): Promise<T> {
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  return server
}
