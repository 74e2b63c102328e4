/** Options of `netmem get`, as the command line has them and as the library takes them. */

import type { Authorization } from '../../http/client/request.ts'
import type { GetOptions } from '../../http/transfer/options.ts'
import { wakeBatchingIfAny } from '../wake-batching.ts'
import { headersOf, readCertificates } from './arguments.ts'

/** Options of the command line. Times are in milliseconds. */
export interface GetFlags
  extends Required<Pick<GetOptions, 'connections' | 'retries' | 'onChange' | 'proxy'>> {
  readonly out?: string
  readonly sha256?: string
  readonly resume?: true
  readonly pool: number
  readonly limit?: number
  readonly header?: readonly (readonly [string, string])[]
  readonly crossOriginHeader?: readonly string[]
  readonly allowDowngrade?: true
  readonly user?: Authorization
  readonly connectTimeout: number
  readonly stallTimeout: number
  readonly maxTime?: number
  readonly cacert?: string
  readonly insecure?: true
  readonly decompress?: true
  readonly raw?: true
  readonly verbose?: true
  readonly quiet?: true
}

/** Returns the options that all downloads of a command have. Throws USAGE for a bad `--cacert`. */
export async function getOptionsOf(flags: GetFlags): Promise<GetOptions> {
  const { cacert, insecure, user, limit } = flags
  const tls = {
    ...(cacert === undefined ? {} : { ca: await readCertificates(cacert) }),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
  }
  return {
    connections: flags.connections,
    retries: flags.retries,
    onChange: flags.onChange,
    connectTimeoutMs: flags.connectTimeout,
    headTimeoutMs: flags.stallTimeout,
    stallTimeoutMs: flags.stallTimeout,
    headers: headersOf(flags.header ?? []),
    crossOriginHeaders: flags.crossOriginHeader ?? [],
    allowDowngrade: flags.allowDowngrade === true,
    proxy: flags.proxy,
    decompress: flags.decompress === true,
    raw: flags.raw === true,
    sha256: flags.sha256 ?? false,
    ...(user === undefined ? {} : { authorization: user }),
    ...(limit === undefined ? {} : { maxBytesPerSecond: limit }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    ...(await wakeBatchingIfAny()),
  }
}
