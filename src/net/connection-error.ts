/** Errors with a code and a remedy, made from errors of sockets. */

import {
  ArgumentTypeError,
  type CodeOf,
  ConnectionError,
  isNetmemError,
  LifetimeError,
} from '../errors.ts'

/** Error of an operation that its signal aborted. `reason` is the reason of the signal. */
export function aborted(reason: unknown): ConnectionError {
  const error = new ConnectionError('NETMEM_ABORTED', 'The operation was aborted by its signal.', {
    cause: reason,
  })
  error.name = 'AbortError'
  return error
}

/** Error of a connection that this side has closed. */
export function connectionClosed(): LifetimeError {
  return new LifetimeError('NETMEM_CONNECTION_CLOSED', 'The connection was closed on this side.')
}

/** Translates an error of a Node.js socket that was in use. */
export function connectionError(cause: unknown): Error {
  if (isNetmemError(cause)) return cause
  const [code, message] = describe(cause)
  if (code === 'EFAULT') {
    const remedy = 'Keep the memory of a read or a write where it is until that is done.'
    return new ArgumentTypeError('NETMEM_DESTINATION_DETACHED', `${message}. ${remedy}`)
  }
  const [ours, remedy] = meaning(code)
  return new ConnectionError(ours, `${message}. ${remedy}`, { cause })
}

/** Translates an error of connecting or listening. */
export function setUpError(
  code: 'NETMEM_CONNECT_FAILED' | 'NETMEM_LISTEN_FAILED',
  where: string,
  cause: unknown,
): Error {
  if (isNetmemError(cause)) return cause
  const [theirs, message] = describe(cause)
  if (isTls(theirs)) {
    return new ConnectionError(
      'NETMEM_TLS',
      `TLS with ${where} failed: ${message}. ${tlsRemedy(theirs)}`,
      { cause },
    )
  }
  const remedy = REMEDIES[theirs] ?? 'Check the address.'
  const verb = code === 'NETMEM_CONNECT_FAILED' ? 'connect to' : 'listen on'
  return new ConnectionError(code, `Cannot ${verb} ${where}: ${message}. ${remedy}`, { cause })
}

const REMEDIES: Readonly<Record<string, string | undefined>> = {
  ECONNREFUSED: 'Nothing listens there. Start the server, or check host and port.',
  ENOTFOUND: 'The name is unknown. Check it, or give an address.',
  EADDRINUSE:
    'The address is in use. Choose another port (0 for a free one), or another path, or remove a socket file that was left behind.',
  EADDRNOTAVAIL: 'The address does not belong to this machine.',
  EACCES: 'This user may not use it. Ports below 1024 and some paths need more rights.',
  ENOENT: 'The path does not exist.',
  EMFILE: 'Too many files are open. Raise the limit (ulimit -n).',
}

function tlsRemedy(code: string): string {
  return code === 'ERR_SSL_WRONG_VERSION_NUMBER'
    ? 'The server does not seem to speak TLS. Check the port, or connect without TLS.'
    : 'Check certificates, names and versions on both sides.'
}

function meaning(code: string): readonly [CodeOf<'ConnectionError'>, string] {
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED') {
    return [
      'NETMEM_CONNECTION_RESET',
      'The peer ended the connection without finishing. Data that arrived before is valid. The rest has to be sent again.',
    ]
  }
  if (isTls(code))
    return ['NETMEM_TLS', 'The peer, or a device on the path, broke the TLS protocol.']
  return ['NETMEM_CONNECTION_FAILED', 'Connect again.']
}

/** True for error codes of TLS. Codes of OpenSSL about certificates have no prefix. */
function isTls(code: string): boolean {
  return /^(ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO|CERT_|CRL_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|HOSTNAME|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|ERROR_IN_)/.test(
    code,
  )
}

function describe(cause: unknown): readonly [code: string, message: string] {
  if (!(cause instanceof Error)) return ['', String(cause)]
  const code: unknown = Reflect.get(cause, 'code')
  // Messages of OpenSSL include a thread, a number and a source line, and end in a new line.
  const reason: unknown = /^ERR_(SSL|OSSL)/.test(String(code)) && Reflect.get(cause, 'reason')
  const message = typeof reason === 'string' && reason !== '' ? reason : cause.message
  return [typeof code === 'string' ? code : '', message.trim().replace(/\.$/, '') || String(code)]
}
