/**
 * Reads a Node.js socket into posted memory, without a Buffer per read. Everything that depends on
 * the internals of Node.js is in this file. `net.connect` and `tls.connect` take `onread`. An
 * accepted socket has to be made anew around its handle, and a buffer that was posted too early can
 * only be taken back through that handle. `canPost` is probed once. If it is false, `data` events
 * are copied into the same posted buffers.
 *
 * Node.js calls `arrived` for each read, then at once `post` for the next buffer, even if `arrived`
 * returned false to stop (lib/internal/stream_base_commons.js). It reads the address of that buffer
 * after microtasks and ticks have run (CustomBufferJSListener). libuv reads into it before it
 * returns to JavaScript, as long as each read fills its buffer and there were fewer than 32 of them
 * (uv__read, libuv 1.46 to 1.52). So memory that is posted after a full read cannot move before the
 * next read. Memory that is posted at any other moment can.
 */

import net from 'node:net'
import { constants } from 'node:os'
import tls from 'node:tls'

/** Provides the memory for reads, and takes the bytes that arrived in it. */
export interface Reader {
  /** Returns the memory for the next read, at least one byte. Must not throw: nothing catches it. */
  post(): Uint8Array
  /** Notes that `bytes` arrived in the memory posted last. False stops reading until `resume`. */
  arrived(bytes: number): boolean
  /**
   * Notes that there is nothing to read now. Returns memory to post in place of the posted one, if
   * any.
   */
  drained(): Uint8Array | undefined
}

/**
 * Moments at which memory that JavaScript can move may be posted: never, after a full read, or
 * always. After a full read the next read follows at once. Always is for data that is copied as
 * soon as `post` returns.
 */
type MovablePosts = 'never' | 'afterFullRead' | 'always'

/** A socket that is read into posted memory. */
export interface PostedReads {
  readonly socket: net.Socket
  /** Set once the handle is known. */
  movable: MovablePosts
  /** Starts to read, or continues. */
  resume(): void
  /** File descriptor of the socket, -1 if it has none. */
  fd(): number
  /**
   * Posts another buffer in place of one into which nothing has arrived. False if that is
   * impossible.
   */
  repost(buffer: Uint8Array): boolean
}

/** Ends a plain TCP connection with a reset. Returns false for other connections. */
export function reset(socket: net.Socket): boolean {
  if (socket instanceof tls.TLSSocket || socket.remoteFamily === undefined) return false
  try {
    socket.resetAndDestroy()
  } catch {
    // An adopted TLS session lies about being TCP.
    return false
  }
  return true
}

/**
 * Calls `ended` after the socket's `end` event if the end is the peer's. libuv takes a hang-up
 * after a short read for the end of the stream and leaves a reset behind it unread (uv__stream_io).
 * So the socket is read once more. If a reset follows, the socket fails with it.
 */
export function onPeersEnd(socket: net.Socket, ended: () => void): void {
  socket.once('end', () => {
    const handle = handleOf(socket)
    if (handle !== undefined) {
      if (!socket.writableEnded && isGone(handle)) {
        socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
        return
      }
      handle.readStart()
    }
    setImmediate(() => setImmediate(ended))
  })
}

/** Parts of a libuv stream handle that this file uses. */
interface Handle {
  /** File descriptor on POSIX systems. */
  readonly fd?: number
  reading: boolean
  /**
   * Called with each read. Returns the next buffer. Called without data when a read found nothing.
   */
  onread: (data: unknown) => unknown
  /** TCP only. Returns 0 or a negative error. */
  getpeername?(address: object): number
  onerror?: (error: Error) => void
  onhandshakestart?: () => void
  onhandshakedone?: () => void
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Uint8Array): void
}

/**
 * True if a connection has lost its peer. Linux knows the address of a peer until a reset, or until
 * both sides have ended (inet_getname). TLS does not read again after the end of its peer.
 */
function isGone(handle: Handle): boolean {
  if (process.platform !== 'linux') return false
  return handle.getpeername !== undefined && handle.getpeername({}) === -constants.errno.ENOTCONN
}

/**
 * True if the peer has reset a socket that is not being read, as far as Linux reports it. After the end
 * of this side the end of the peer looks the same.
 */
export function isReset(socket: net.Socket): boolean {
  const handle = handleOf(socket)
  return handle !== undefined && isGone(handle)
}

/** Handle of a socket, or `undefined` without one, or if this Node.js has another kind. */
function handleOf(socket: net.Socket): Handle | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  return isHandle(handle) ? handle : undefined
}

function isHandle(value: unknown): value is Handle {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'onread') === 'function' &&
    typeof Reflect.get(value, 'readStart') === 'function' &&
    typeof Reflect.get(value, 'readStop') === 'function' &&
    typeof Reflect.get(value, 'useUserBuffer') === 'function'
  )
}

/** True if a socket made around a handle posts its buffer to it. Tried on a fake handle. */
function probe(): boolean {
  const buffer = new Uint8Array(1)
  let posted = false
  const handle = {
    reading: false,
    readStart: () => 0,
    readStop: () => 0,
    useUserBuffer: (given: unknown) => {
      posted = given === buffer
    },
    close: () => {},
    getAsyncId: () => 0,
  }
  const options = {
    allowHalfOpen: true,
    handle,
    manualStart: true,
    onread: { buffer: () => buffer, callback: () => true },
  }
  try {
    new net.Socket(options).on('error', () => {}).unref()
  } catch {
    return false
  }
  return posted
}

let probed: boolean | undefined

/** True if this Node.js lets accepted sockets read into posted memory. */
export function canPost(): boolean {
  probed ??= probe()
  return probed
}

/** Connects. The socket does not read before `resume`. */
export function createPostedReads(
  options: net.TcpNetConnectOpts | net.IpcNetConnectOpts,
  security: tls.ConnectionOptions | undefined,
  reader: Reader,
  copying: boolean,
): PostedReads {
  // A `path` on Object.prototype would win over host and port.
  const target = {
    path: undefined,
    ...options,
    ...(copying ? {} : { onread: onread(reader) }),
    allowHalfOpen: true,
  }
  const socket =
    security === undefined ? net.connect(target) : tls.connect({ ...security, ...target })
  socket.pause()
  if (copying) return copied(socket, reader)
  const reads = posted(socket)
  // A socket tries several handles in turn, so wait for `connect`. TLS does not report empty reads.
  if (security === undefined) {
    socket.once('connect', () => {
      const handle = handleOf(socket)
      if (handle !== undefined) reads.movable = noticeDrained(socket, handle, reader)
    })
  }
  return reads
}

/**
 * Takes over a socket that exists. Bytes that it has buffered go to `reader` at once. It does not
 * read before `resume`.
 */
export function takeOver(socket: net.Socket, reader: Reader, copying: boolean): PostedReads {
  const handle = handleOf(socket)
  if (copying || handle === undefined) {
    for (const event of ['data', 'readable']) socket.removeAllListeners(event)
    socket.pause()
    drain(socket, reader)
    socket.allowHalfOpen = true
    return copied(socket, reader)
  }
  drain(socket, reader)
  handle.reading = false
  handle.readStop()
  const state: unknown = Reflect.get(socket, '_readableState')
  const ended = typeof state === 'object' && state !== null && Reflect.get(state, 'ended') === true
  Reflect.set(socket, '_handle', null)
  const options = { handle, onread: onread(reader), manualStart: true, allowHalfOpen: true }
  const fresh = new net.Socket(options)
  const reads = posted(fresh)
  if (socket instanceof tls.TLSSocket) takeOverTls(socket, handle, fresh)
  else {
    reads.movable = noticeDrained(fresh, handle, reader)
    // Ends the old socket: the accepting server counts it as open otherwise, and its `close` never completes.
    socket.destroy()
  }
  // TLS reports the end once only.
  if (ended) fresh.push(null)
  return reads
}

/** Connects the callbacks of the handle, which expects its TLSSocket, to the fresh socket. */
function takeOverTls(socket: tls.TLSSocket, handle: Handle, fresh: net.Socket): void {
  handle.onerror = (error) => void fresh.destroy(error)
  // Limit renegotiations as a TLSSocket does, since each costs this side more than the peer.
  let handshakes = 0
  let since = 0
  handle.onhandshakestart = () => {
    const now = Date.now()
    if (now - since > tls.CLIENT_RENEG_WINDOW * 1000) {
      since = now
      handshakes = 0
    }
    if (++handshakes > tls.CLIENT_RENEG_LIMIT) {
      const error = new Error('The peer asked for too many handshakes')
      fresh.destroy(Object.assign(error, { code: 'ERR_TLS_SESSION_ATTACK' }))
    }
  }
  handle.onhandshakedone = () => {}
  // Closing the handle frees the memory of the session through its socket.
  Reflect.set(fresh, 'ssl', handle)
  // Disarm timers and error events of the old socket.
  socket.setTimeout(0)
  socket.on('error', () => {})
}

/**
 * Notifies `reader` when a read into posted memory finds no bytes. Another buffer can be posted for free
 * only then and after a read. Returns the kinds of memory that may be posted after it: Windows reads
 * while JavaScript runs, and the order of other handles is not known.
 */
function noticeDrained(socket: net.Socket, handle: Handle, reader: Reader): MovablePosts {
  const { onread } = handle
  // A read that failed comes without data, too.
  handle.onread = (data) =>
    onread.call(handle, data) ?? (socket.destroyed ? undefined : reader.drained())
  const { name } = handle.constructor
  const ofLibuv = name === 'TCP' || name === 'Pipe'
  return ofLibuv && process.platform !== 'win32' ? 'afterFullRead' : 'never'
}

function onread(reader: Reader): net.OnReadOpts {
  return {
    buffer: () => reader.post(),
    callback: (bytes) => reader.arrived(bytes),
  }
}

function posted(socket: net.Socket): PostedReads {
  return {
    socket,
    movable: 'never',
    resume: () => void socket.resume(),
    fd: () => handleOf(socket)?.fd ?? -1,
    repost: (buffer) => {
      const handle = handleOf(socket)
      handle?.useUserBuffer(buffer)
      return handle !== undefined
    },
  }
}

function copied(socket: net.Socket, reader: Reader): PostedReads {
  socket.on('data', (chunk: Uint8Array) => {
    if (!feed(reader, chunk)) socket.pause()
  })
  socket.pause()
  return {
    socket,
    movable: 'always',
    resume: () => void socket.resume(),
    fd: () => -1,
    repost: () => true,
  }
}

/**
 * Passes `chunk` on as if it had been read into posted buffers. Returns false if the reader wants
 * to stop.
 */
export function feed(reader: Reader, chunk: Uint8Array): boolean {
  let readsOn = true
  for (let at = 0; at < chunk.byteLength; ) {
    const buffer = reader.post()
    const bytes = Math.min(buffer.byteLength, chunk.byteLength - at)
    buffer.set(chunk.subarray(at, at + bytes))
    at += bytes
    readsOn = reader.arrived(bytes)
  }
  reader.drained()
  return readsOn
}

/** Feeds `reader` with what a socket has buffered. */
function drain(socket: net.Socket, reader: Reader): void {
  for (;;) {
    const chunk: unknown = socket.read()
    if (!(chunk instanceof Uint8Array)) return
    feed(reader, chunk)
  }
}
