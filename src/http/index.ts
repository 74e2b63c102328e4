/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Whole transfers: HTTP bodies straight into memory, files or pools.
 *
 * Read on: `get-into.ts` is the one call. `transfer/` has its attempts, ranges and destinations,
 * `client/` one request and its response: heads, chunks, bodies, connections that are kept.
 *
 * @module
 */

export { ConnectionCache, type ConnectionCacheOptions } from './client/connection-cache.ts'
export type { HeaderList } from './client/header-list.ts'
export type { Authorization, RequestHeaders } from './client/request.ts'
export type { ResponseHead } from './client/response-head.ts'
export { type GetDestination, getInto } from './get-into.ts'
export { HttpError } from './http-error.ts'
export type { GetEvent } from './transfer/events.ts'
export type { FileDestination } from './transfer/file/file-target.ts'
export type { MakeMemory, Memory } from './transfer/memory-target.ts'
export type { GetOptions } from './transfer/options.ts'
export type { FragDestination } from './transfer/pool-target.ts'
export type { GetResult, GetTiming } from './transfer/result.ts'
