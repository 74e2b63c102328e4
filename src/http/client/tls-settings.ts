/** TLS options of one transfer, and the identity by which connections are shared. */

import { createHash } from 'node:crypto'
import type tls from 'node:tls'
import { invalid } from '../../net/internal.ts'

/** TLS options for one origin. */
export interface TlsSettings {
  readonly options: tls.ConnectionOptions
  /** Equal for options of equal values. Transfers share connections by it. */
  readonly identity: string
}

/**
 * Reads `options` once, so later changes have no effect.
 * @throws NETMEM_INVALID_ARGUMENT unless they are an object.
 */
export function tlsSettings(options: tls.ConnectionOptions): TlsSettings {
  if (typeof options !== 'object' || options === null) {
    throw invalid('tls takes the options of tls.connect() as an object.')
  }
  const own = { ...options }
  return { options: own, identity: createHash('sha256').update(identityOf(own)).digest('base64') }
}

/**
 * Returns the settings for an origin that only a redirect has named. They keep the certificates to trust.
 * They drop the client certificate and the name that the server has to have.
 */
export function tlsElsewhere({ options }: TlsSettings): TlsSettings {
  const {
    cert: _cert,
    key: _key,
    pfx: _pfx,
    passphrase: _passphrase,
    pskCallback: _pskCallback,
    secureContext: _secureContext,
    session: _session,
    servername: _servername,
    checkServerIdentity: _checkServerIdentity,
    ...rest
  } = options
  return tlsSettings(rest)
}

const identities = new WeakMap<object, number>()
let count = 0

/** Returns equal text for equal values. A function, or an object with a state, equals itself only. */
function identityOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    return createHash('sha256').update(bytes).digest('base64')
  }
  if (Array.isArray(value)) return `[${value.map(identityOf).join(',')}]`
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    return String(value)
  }
  if (Object.getPrototypeOf(value) === Object.prototype) {
    const parts = Object.entries(value)
      .filter(([, part]) => part !== undefined)
      .map(([name, part]) => `${JSON.stringify(name)}:${identityOf(part)}`)
    return `{${parts.sort().join(',')}}`
  }
  const identity = identities.get(value) ?? ++count
  identities.set(value, identity)
  return `#${identity}`
}
