/**
 * Sockets of devmem TCP. `devmem-connection.ts` is the connection, over the calls of `kernel-io.ts`. `frag-reader.ts` makes frags of the payload, `received-frags.ts` hands
 * them out, `token-returns.ts` gives their tokens back, `send-queue.ts` sends.
 */

export { type AdoptDevmemOptions, adoptDevmem } from './adopt-devmem.ts'
export type { BoundMemory } from './binding-use.ts'
export { type ConnectDevmemOptions, connectDevmem } from './connect-devmem.ts'
export type { DevmemConnection, DevmemStats } from './devmem-connection.ts'
export type { DevmemConnectionOptions } from './devmem-options.ts'
export { type DevmemListener, type ListenDevmemOptions, listenDevmem } from './listen-devmem.ts'
export type { DeviceLeakReport } from './token-leaks.ts'
