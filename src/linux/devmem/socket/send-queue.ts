/**
 * Data of a connection on its way to the kernel, in order: bytes, device memory, and the end. Sends of
 * device memory are done when the kernel says in the error queue that the peer has them.
 */

import { rejectedAtCaller } from '../../../net/internal.ts'
import type { Binding } from '../../../netmem.ts'
import type { DevmemIo } from './kernel-io.ts'
import { isNoBuffers, socketError } from './socket-error.ts'

/** Most bytes of device memory that one call sends: its completion frees them together. */
const DEVICE_BYTES: number = 2 ** 20
const NUMBERS: number = 2 ** 32

interface Settled {
  readonly resolve: (value: undefined | Promise<never>) => void
}

type Item = Settled &
  (
    | {
        readonly kind: 'bytes'
        pieces: readonly Uint8Array[]
        sizes: readonly number[]
        at: number
      }
    | {
        readonly kind: 'device'
        readonly binding: number
        readonly end: number
        at: number
        /** Calls that have sent parts of it and are not completed. */
        pending: number
      }
    | { readonly kind: 'end' }
  )
type DeviceItem = Extract<Item, { kind: 'device' }>

/** A connection as its queue needs it. */
export interface SendOwner {
  /** Ends the connection for a failure of a send. */
  fail(error: Error): void
  /** Called when the end was sent. */
  sentEnd(): void
  /** Called when memory of a write was taken away. */
  detached(): void
}

export class SendQueue {
  /** True once the end has been asked for. */
  ending = false
  /** Device sends that have been completed, and those that the kernel copied all the same. */
  completions = 0
  copied = 0
  readonly #io: DevmemIo
  readonly #owner: SendOwner
  readonly #items: Item[] = []
  /** Device sends by the number of the call, from 0, modulo 2^32. */
  readonly #calls = new Map<number, DeviceItem>()
  #nextCall = 0
  #waiting = false
  #broken: Error | undefined
  #onCompletion: (() => void) | undefined

  constructor(io: DevmemIo, owner: SendOwner) {
    this.#io = io
    this.#owner = owner
  }

  write(pieces: readonly Uint8Array[]): Promise<void> {
    const sizes = pieces.map((piece) => piece.byteLength)
    return new Promise((resolve) => this.#add({ kind: 'bytes', pieces, sizes, at: 0, resolve }))
  }

  sendDevice({ id }: Binding, offset: number, length: number): Promise<void> {
    return new Promise((resolve) => {
      this.#add({
        kind: 'device',
        binding: id,
        at: offset,
        end: offset + length,
        pending: 0,
        resolve,
      })
    })
  }

  end(): Promise<void> {
    this.ending = true
    return new Promise((resolve) => this.#add({ kind: 'end', resolve }))
  }

  /** Takes completions from the error queue. Returns how many messages there were. */
  reap(): number {
    // The socket may be closed already.
    if (this.#broken !== undefined) return 0
    let messages = 0
    for (;;) {
      const errors = this.#io.takeErrors()
      if (errors === undefined) break
      messages++
      for (const one of errors) {
        if (one.kind !== 'zerocopy') continue
        const count = ((one.last - one.first + NUMBERS) % NUMBERS) + 1
        for (let at = 0; at < count; at++) this.#completed((one.first + at) % NUMBERS, one.copied)
      }
    }
    if (messages > 0) this.#onCompletion?.()
    return messages
  }

  /** Fails all that is not done. */
  break(error: Error): void {
    this.#broken ??= error
    const items = new Set<Item>([...this.#items.splice(0), ...this.#calls.values()])
    this.#calls.clear()
    for (const { resolve } of items) resolve(rejectedAtCaller(error))
    this.#onCompletion?.()
  }

  #add(item: Item): void {
    if (this.#broken !== undefined) {
      item.resolve(rejectedAtCaller(this.#broken))
      return
    }
    this.#items.push(item)
    if (!this.#waiting) this.#run()
  }

  /** Sends until the queue is empty, or the kernel has no room. */
  #run(): void {
    for (let item = this.#items[0]; item !== undefined; item = this.#items[0]) {
      let sent: boolean | 'later'
      try {
        sent = this.#send(item)
      } catch (error) {
        this.#owner.fail(socketError(item.kind === 'device' ? 'sendDevice' : 'send', error))
        return
      }
      if (this.#broken !== undefined) return
      if (sent !== true) {
        void this.#wait(sent === 'later')
        return
      }
      this.#items.shift()
      if (item.kind === 'end') {
        item.resolve(undefined)
        this.#owner.sentEnd()
      }
    }
  }

  /** Sends an item. Returns false to wait for room, and `later` to wait for completions. */
  #send(item: Item): boolean | 'later' {
    switch (item.kind) {
      case 'bytes':
        return this.#sendBytes(item)
      case 'device':
        return this.#sendDevice(item)
      case 'end':
        this.#io.endSending()
        return true
    }
  }

  #sendBytes(item: Extract<Item, { kind: 'bytes' }>): boolean {
    while (item.pieces.length > 0) {
      if (item.pieces.some((piece, index) => piece.byteLength < (item.sizes[index] ?? 0))) {
        this.#owner.detached()
        return true
      }
      const went = this.#io.send(item.pieces, item.at)
      if (went === undefined) return false
      advance(item, went)
    }
    item.resolve(undefined)
    return true
  }

  #sendDevice(item: DeviceItem): boolean | 'later' {
    while (item.at < item.end) {
      let went: number | undefined
      try {
        went = this.#io.sendDevice(
          item.binding,
          item.at,
          Math.min(DEVICE_BYTES, item.end - item.at),
        )
      } catch (error) {
        if (!isNoBuffers(error)) throw error
        // Each call that is not completed takes room for its notice.
        if (this.reap() > 0) continue
        if (this.#calls.size > 0) return 'later'
        throw error
      }
      if (went === undefined) return false
      this.#calls.set(this.#nextCall, item)
      this.#nextCall = (this.#nextCall + 1) % NUMBERS
      item.pending++
      item.at += went
    }
    return true
  }

  #completed(call: number, copied: boolean): void {
    const item = this.#calls.get(call)
    if (item === undefined) return
    this.#calls.delete(call)
    this.completions++
    if (copied) this.copied++
    item.pending--
    if (item.pending === 0 && item.at === item.end) item.resolve(undefined)
  }

  async #wait(forCompletion: boolean): Promise<void> {
    this.#waiting = true
    if (forCompletion) {
      await new Promise<void>((resolve) => {
        this.#onCompletion = resolve
      })
      this.#onCompletion = undefined
    } else {
      await this.#io.wait('writable').then(
        () => this.reap(),
        () => 0,
      )
    }
    this.#waiting = false
    if (this.#broken === undefined) this.#run()
  }
}

/** Takes `went` bytes off the front of an item's pieces. */
function advance(item: Extract<Item, { kind: 'bytes' }>, went: number): void {
  let left = item.at + went
  let done = 0
  while (done < item.sizes.length && left >= (item.sizes[done] ?? 0))
    left -= item.sizes[done++] ?? 0
  if (done > 0) {
    item.pieces = item.pieces.slice(done)
    item.sizes = item.sizes.slice(done)
  }
  item.at = left
}
