/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Whole transfers: HTTP bodies straight into memory, files or pools.
 *
 * Read on: `get-into.ts` (the one call), `transfer.ts` (its attempts), `exchange.ts` (a request
 * and its response), `body.ts` (how a body reaches its destination), `response-head.ts` and
 * `chunked.ts` (HTTP/1.1 on the wire).
 *
 * @module
 */

export { ConnectionCache, type ConnectionCacheOptions } from './connection-cache.ts'
export type { GetEvent } from './events.ts'
export type { FileDestination } from './file-target.ts'
export { type GetDestination, getInto } from './get-into.ts'
export type { HeaderList } from './header-list.ts'
export { HttpError } from './http-error.ts'
export type { MakeMemory, Memory } from './memory-target.ts'
export type { FragDestination } from './pool-target.ts'
export type { Authorization, RequestHeaders } from './request.ts'
export type { ResponseHead } from './response-head.ts'
export type { GetResult, GetTiming } from './result.ts'
export type { GetOptions } from './settings.ts'
