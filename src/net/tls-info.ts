/** Reads the properties of a TLS session from its socket. */

import type tls from 'node:tls'
import type { TlsInfo } from '../connection.ts'

/** Returns the properties of the session. The socket knows them only while it has its handle. */
export function tlsInfo(socket: tls.TLSSocket, handshakeMs = 0): TlsInfo {
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
    handshakeMs,
    peerCertificate: socket.getPeerCertificate(),
  }
}
