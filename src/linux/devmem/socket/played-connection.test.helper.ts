/** Devmem connections for tests, over a kernel that is played. */

import type { Page } from '../../../netmem.ts'
import { createPool } from '../../../pool/create-pool.ts'
import type { Frag } from '../../../pool/frag.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { hostProvider } from '../../../providers/host.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import type { BoundMemory } from './binding-use.ts'
import type { DevmemConnectionOptions } from './devmem-options.ts'
import { FakeIo, type Piece } from './fake-io.test.helper.ts'
import { OpenDevmemConnection } from './open-devmem-connection.ts'

/** Bytes of a piece of device memory. */
export const PAGE = 4096

interface Played {
  readonly pool: PagePool<Page>
  readonly binding: BoundMemory
  readonly io: FakeIo
  readonly connection: OpenDevmemConnection
}

/** Opens a connection over a kernel that is played. `bytes` is the length of its dma-buf. */
export function setUp(
  more: Partial<DevmemConnectionOptions> = {},
  bytes: number = 2 ** 24,
): Played {
  const pool = createPool(hostProvider({ pages: 4 }))
  const binding = { id: 7, ifindex: 2, queues: [3], dmabuf: { bytes } }
  const io = new FakeIo()
  const connection = new OpenDevmemConnection(io, { pool, binding, ...more })
  return { pool, binding, io, connection }
}

/** Payload in device memory, at the place of piece `index`. */
export function device(index: number, length: number = PAGE, binding = 7): Piece {
  return { kind: 'device', binding, offset: index * PAGE, length }
}

/** Receives `count` frags. */
export async function take(connection: OpenDevmemConnection, count: number): Promise<Frag[]> {
  const frags: Frag[] = []
  while (frags.length < count) frags.push(some(await connection.receive()))
  return frags
}
