/**
 * Reading a Node.js socket into memory that somebody posts, without a Buffer per read. Everything
 * here that leans on Node's internals is in this file: `net.connect` and `tls.connect` take
 * `onread`, but an accepted socket has to be made anew around its handle, and a buffer that was
 * posted too early can only be taken back through that handle. `canPost` is probed once; where it
 * is false, `data` events are copied into the same posted buffers.
 *
 * The order inside Node for each read: `arrived`, then at once `post` for the next buffer, also
 * when `arrived` returned false to stop (lib/internal/stream_base_commons.js). Node asks for the
 * address of that buffer after microtasks and ticks have run (CustomBufferJSListener), and libuv
 * reads into it before it returns to JavaScript, as long as each read fills its buffer and there
 * were fewer than 32 of them (uv__read, libuv 1.46 to 1.52). So what is posted after a full read
 * cannot move before the next read. What is posted at any other moment can.
 */

import net from 'node:net'
import { constants } from 'node:os'
import tls from 'node:tls'

/** Provides the memory for reads, and takes what arrived in it. */
export interface Reader {
  /** Returns the memory for the next read, at least one byte. Must not throw: nothing catches it. */
  post(): Uint8Array
  /** `bytes` arrived in what was posted last; false stops reading until `resume`. */
  arrived(bytes: number): boolean
  /** There is nothing to read just now: the memory to post in place of what was posted, if any. */
  drained(): Uint8Array | undefined
}

/**
 * The moments at which memory that JavaScript can move may be posted: never; after a full read that the next one
 * follows at once; or always, where data is copied as soon as `post` returns.
 */
type MovablePosts = 'never' | 'afterFullRead' | 'always'

/** How a socket is read. */
export interface PostedReads {
  readonly socket: net.Socket
  readonly movable: MovablePosts
  /** Goes on reading. */
  resume(): void
  /** The socket's file descriptor; -1 where there is none, or not any more. */
  fd(): number
  /** Posts another buffer in place of one into which nothing has arrived; false if that can't be had. */
  repost(buffer: Uint8Array): boolean
}

/** Ends a plain TCP connection with a reset; false where there is none to send. */
export function reset(socket: net.Socket): boolean {
  if (socket instanceof tls.TLSSocket || socket.remoteFamily === undefined) return false
  try {
    socket.resetAndDestroy()
  } catch {
    // Not TCP after all: a TLS session that was adopted.
    return false
  }
  return true
}

/**
 * Calls `ended` after the socket's `end` event if it really is the peer's. libuv takes a hang-up
 * after a short read for the end of the stream and leaves the reset behind it unread
 * (uv__stream_io): so the socket is read once more, and `ended` is called when nothing came of
 * that. Otherwise the socket fails with the reset.
 */
export function onPeersEnd(socket: net.Socket, ended: () => void): void {
  socket.once('end', () => {
    const handle: unknown = Reflect.get(socket, '_handle')
    if (isHandle(handle)) {
      if (!socket.writableEnded && isGone(handle)) {
        socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
        return
      }
      handle.readStart()
    }
    setImmediate(() => setImmediate(ended))
  })
}

/** The parts of a libuv stream handle that this file uses. */
interface Handle {
  /** Of POSIX systems. */
  readonly fd?: number
  reading: boolean
  /** Gets what was read, returns the next buffer; called without either when a read found nothing. */
  onread: (data: unknown) => unknown
  /** Of TCP only; 0 or a negative error. */
  getpeername?(address: object): number
  onerror?: (error: Error) => void
  onhandshakestart?: () => void
  onhandshakedone?: () => void
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Uint8Array): void
}

/**
 * True if a connection has no peer any more: Linux knows the address of a peer until a reset, or
 * until both sides have ended (inet_getname). TLS does not read again after its peer's end.
 */
function isGone(handle: Handle): boolean {
  if (process.platform !== 'linux') return false
  return handle.getpeername !== undefined && handle.getpeername({}) === -constants.errno.ENOTCONN
}

/**
 * True if the peer of a socket that is not being read has reset it, as far as Linux tells. After
 * this side's end the peer's own end looks the same: only reading tells.
 */
export function isReset(socket: net.Socket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  return isHandle(handle) && isGone(handle)
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

/** Whether a socket made around a handle posts its buffer to it; tried on a handle that only listens. */
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

/** Whether this Node.js lets accepted sockets read into posted memory. */
export function canPost(): boolean {
  probed ??= probe()
  return probed
}

/** Connects; the socket does not read before `resume`. */
export function dial(
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
  let movable: MovablePosts = 'never'
  // A socket tries several handles in turn, so not before. TLS never says that it has nothing.
  if (security === undefined) {
    socket.once('connect', () => {
      const handle: unknown = Reflect.get(socket, '_handle')
      if (isHandle(handle)) movable = noticeDrained(socket, handle, reader)
    })
  }
  return posted(socket, () => movable)
}

/** Takes over a socket that exists; what it has buffered is passed to `early` first. It does not read before `resume`. */
export function takeOver(
  socket: net.Socket,
  reader: Reader,
  early: (chunk: Uint8Array) => void,
  copying: boolean,
): PostedReads {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (copying || !isHandle(handle)) {
    for (const event of ['data', 'readable']) socket.removeAllListeners(event)
    socket.pause()
    drain(socket, early)
    socket.allowHalfOpen = true
    return copied(socket, reader)
  }
  drain(socket, early)
  handle.reading = false
  handle.readStop()
  const state: unknown = Reflect.get(socket, '_readableState')
  const ended = typeof state === 'object' && state !== null && Reflect.get(state, 'ended') === true
  Reflect.set(socket, '_handle', null)
  const options = { handle, onread: onread(reader), manualStart: true, allowHalfOpen: true }
  const fresh = new net.Socket(options)
  let movable: MovablePosts = 'never'
  if (socket instanceof tls.TLSSocket) takeOverTls(socket, handle, fresh)
  else {
    movable = noticeDrained(fresh, handle, reader)
    // Otherwise the server it came from counts it for ever, and never closes.
    socket.destroy()
  }
  // TLS says so once only.
  if (ended) fresh.push(null)
  return posted(fresh, () => movable)
}

/** The handle expects a TLSSocket behind it, which has no say any more. */
function takeOverTls(socket: tls.TLSSocket, handle: Handle, fresh: net.Socket): void {
  handle.onerror = (error) => void fresh.destroy(error)
  // The peer negotiates again: as often as with a TLSSocket, since each time costs this side more.
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
  // Closing the handle frees the session's memory through its socket.
  Reflect.set(fresh, 'ssl', handle)
  // It must not end the session from its grave, nor the process.
  socket.setTimeout(0)
  socket.on('error', () => {})
}

/**
 * Tells `reader` when a read into what it posted finds nothing, which is the one moment besides
 * after a read at which another buffer can be posted for free. Returns what may be posted then:
 * Windows reads while JavaScript runs, and of other handles than libuv's the order is not known.
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

function posted(socket: net.Socket, movable: () => MovablePosts): PostedReads {
  return {
    socket,
    get movable() {
      return movable()
    },
    resume: () => {
      socket.resume()
    },
    fd: () => {
      const handle: unknown = Reflect.get(socket, '_handle')
      return isHandle(handle) ? (handle.fd ?? -1) : -1
    },
    repost: (buffer) => {
      const handle: unknown = Reflect.get(socket, '_handle')
      if (!isHandle(handle)) return false
      handle.useUserBuffer(buffer)
      return true
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
    resume: () => {
      socket.resume()
    },
    fd: () => -1,
    repost: () => true,
  }
}

/** Passes `chunk` on as if it had been read into posted buffers; false if the last of the reads says stop. */
export function feed(reader: Reader, chunk: Uint8Array): boolean {
  let goOn = true
  for (let at = 0; at < chunk.byteLength; ) {
    const buffer = reader.post()
    const bytes = Math.min(buffer.byteLength, chunk.byteLength - at)
    buffer.set(chunk.subarray(at, at + bytes))
    at += bytes
    goOn = reader.arrived(bytes)
  }
  reader.drained()
  return goOn
}

function drain(socket: net.Socket, early: (chunk: Uint8Array) => void): void {
  for (;;) {
    const chunk: unknown = socket.read()
    if (!(chunk instanceof Uint8Array)) return
    early(chunk)
  }
}
