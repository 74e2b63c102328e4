/** Which of the caller's TLS options go to an origin that only a redirect has named. */

import type tls from 'node:tls'
import type { Settings } from './settings.ts'

const stripped = new WeakMap<object, tls.ConnectionOptions>()

/**
 * What to trust holds for every origin; who one is, and by which name the server is to answer, for
 * the first one alone. The same object each time, since connections are shared by it.
 */
export function tlsFor({ tls }: Settings, trusted: boolean): tls.ConnectionOptions | undefined {
  if (tls === undefined || trusted) return tls
  const known = stripped.get(tls)
  if (known !== undefined) return known
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
  } = tls
  stripped.set(tls, rest)
  return rest
}
