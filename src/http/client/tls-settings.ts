/** TLS options of one transfer, and the identity by which connections are shared. */

import { createHash } from 'node:crypto'
import type tls from 'node:tls'
import { invalid } from '../../net/internal.ts'

/** TLS options for one origin. */
export interface TlsChoice {
  readonly options: tls.ConnectionOptions
  /** Equal for options of equal values. Transfers share connections by it. */
  readonly identity: string
}

export class TlsSettings {
  /** Options for the origin that the caller named. */
  readonly trusted: TlsChoice
  #elsewhere: TlsChoice | undefined

  /**
   * Reads `options` once, so later changes have no effect.
   * @throws NETMEM_INVALID_ARGUMENT unless they are an object.
   */
  constructor(options: tls.ConnectionOptions) {
    if (typeof options !== 'object' || options === null) {
      throw invalid('tls takes the options of tls.connect() as an object.')
    }
    this.trusted = choice({ ...options })
  }

  /**
   * Options for an origin that only a redirect has named. They keep the certificates to trust. They drop
   * the client certificate and the name that the server has to have.
   */
  get elsewhere(): TlsChoice {
    if (this.#elsewhere === undefined) {
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
      } = this.trusted.options
      this.#elsewhere = choice(rest)
    }
    return this.#elsewhere
  }
}

function choice(options: tls.ConnectionOptions): TlsChoice {
  const named = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${identityOf(value)}`)
  return { options, identity: createHash('sha256').update(named.join('\n')).digest('base64') }
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
    const parts = Object.entries(value).map(([name, part]) => `${name}:${identityOf(part)}`)
    return `{${parts.sort().join(',')}}`
  }
  let identity = identities.get(value)
  if (identity === undefined) {
    identity = ++count
    identities.set(value, identity)
  }
  return `#${identity}`
}
