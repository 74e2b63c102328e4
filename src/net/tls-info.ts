/** What an application may ask of a TLS session. */

import type tls from 'node:tls'

/** What is known of the TLS session. */
export interface TlsInfo {
  readonly protocol: string | null
  readonly cipher: string
  readonly alpnProtocol: string | undefined
  /** Whether the peer's certificate was verified; `authorizationError` says why not. */
  readonly authorized: boolean
  readonly authorizationError: string | undefined
  /** Without properties where the peer showed none. */
  readonly peerCertificate: tls.PeerCertificate
}

/** Asks the socket, which knows only while it has its handle. */
export function tlsInfo(socket: tls.TLSSocket): TlsInfo {
  const { authorizationError } = socket
  return {
    protocol: socket.getProtocol(),
    cipher: socket.getCipher().name,
    alpnProtocol: socket.alpnProtocol || undefined,
    authorized: socket.authorized,
    authorizationError:
      authorizationError === undefined || authorizationError === null
        ? undefined
        : String(authorizationError),
    peerCertificate: socket.getPeerCertificate(),
  }
}
