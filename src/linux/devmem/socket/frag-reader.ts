/** Makes frags of the payload of a devmem socket, and keeps them until they are taken. */

import type { Page } from '../../../netmem.ts'
import type { Frag } from '../../../pool/frag.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { ControlReader } from '../../../wire/control-messages.ts'
import { LinuxError } from '../../sys/index.ts'
import { BindingUse } from './binding-use.ts'
import type { DevmemIo } from './kernel-io.ts'
import { TokenFrag } from './token-frag.ts'
import { TokenGroup } from './token-leaks.ts'
import type { TokenReturns } from './token-returns.ts'

export interface FragReaderOptions {
  /** Pool for payload that came in host memory. */
  readonly pool: PagePool<Page>
  /** Bindings whose memory may arrive. */
  readonly uses: readonly BindingUse[]
  /** Refuses payload in host memory. */
  readonly strict: boolean
  /** Label of the peer in leak reports. */
  readonly label: string
}

export class FragReader {
  /** Bytes and frags that have arrived so far. */
  linear_bytes = 0
  device_bytes = 0
  device_frags = 0
  readonly #io: DevmemIo
  readonly #tokens: TokenReturns
  readonly #options: FragReaderOptions
  readonly #control = new ControlReader()
  /**
   * Frags, and bytes for which the pool had no page, from {@link #first} to {@link #last}. Its places are
   * used again: an array that is emptied grows anew with each receive.
   */
  readonly #queue: (Frag | Uint8Array | undefined)[] = []
  #first = 0
  #last = 0
  /** Entries of the queue that are bytes. */
  #withoutPage = 0
  #onNotDry = (): void => undefined
  #discards = false
  /** Group of the frags that this receive has brought, of a binding that is this connection's or not. */
  #group: TokenGroup | undefined
  #isForeign = false

  constructor(io: DevmemIo, tokens: TokenReturns, options: FragReaderOptions) {
    this.#io = io
    this.#tokens = tokens
    this.#options = options
  }

  /** Label of the peer in leak reports. */
  get label(): string {
    return this.#options.label
  }

  /** True if bytes wait for a page. Read no more until they have one. */
  get dry(): boolean {
    return this.#withoutPage > 0
  }

  /** Resolves when the bytes that the pool had no page for have been taken or discarded. */
  whenNotDry(): Promise<void> {
    if (!this.dry) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onNotDry = resolve
    })
  }

  /**
   * Receives once. Returns `nothing` if nothing has come, and `end` at the end of the stream.
   *
   * @throws LinuxError of the kernel, NETMEM_DEVMEM_READABLE, NETMEM_DEVMEM_OTHER_BINDING,
   *   NETMEM_POOL_DESTROYED. Frags that came before stay.
   */
  read(): 'frags' | 'nothing' | 'end' {
    const received = this.#io.receive()
    if (received === undefined) return 'nothing'
    if (received === 0) return 'end'
    const { memory } = this.#io
    const control = this.#control
    control.start(memory.control, memory.controlLength)
    let device = 0
    let linear = 0
    let unknown: number | undefined
    const { tracing } = this.#options.pool.copies
    while (control.next()) {
      if (control.kind === 'dmabuf') {
        device += control.fragSize
        this.#addFrag(control)
        if (this.#isForeign) unknown = control.dmabufId
        // A traced frag is reported with the stack of its own receiver.
        if (tracing) this.#group = undefined
      } else if (control.kind === 'linear') {
        this.#addBytes(memory.bytes.subarray(linear, linear + control.fragSize))
        linear += control.fragSize
      }
    }
    // Ordinary payload comes without a message.
    const rest = received - device - linear
    if (rest > 0) this.#addBytes(memory.bytes.subarray(linear, linear + rest))
    this.linear_bytes += linear + Math.max(0, rest)
    this.device_bytes += device
    this.#group = undefined
    if (unknown !== undefined) throw otherBinding(unknown)
    if (this.#options.strict && received > device) throw readable(received - device)
    return 'frags'
  }

  /** Takes the first frag, or `undefined` without one, or if there is no page for its bytes. */
  take(): Frag | undefined {
    if (this.#first === this.#last) return undefined
    const entry = this.#queue[this.#first]
    if (entry === undefined) return undefined
    if (entry instanceof TokenFrag || !(entry instanceof Uint8Array)) {
      this.#drop()
      return entry
    }
    const { pool } = this.#options
    const frag = pool.allocFrag(Math.min(entry.byteLength, pool.pageSize))
    if (frag === undefined) return undefined
    frag.bytes.set(entry.subarray(0, frag.length))
    if (frag.length < entry.byteLength) {
      this.#queue[this.#first] = entry.subarray(frag.length)
    } else {
      this.#drop()
      if (--this.#withoutPage === 0) this.#onNotDry()
    }
    return frag
  }

  /** Gives back what was not taken, and what still arrives. */
  discard(): void {
    this.#discards = true
    this.#withoutPage = 0
    this.#onNotDry()
    while (this.#first < this.#last) {
      const entry = this.#queue[this.#first]
      this.#drop()
      if (entry !== undefined && !(entry instanceof Uint8Array)) entry.release()
    }
  }

  #add(entry: Frag | Uint8Array): void {
    this.#queue[this.#last++] = entry
  }

  #drop(): void {
    this.#queue[this.#first++] = undefined
    if (this.#first === this.#last) this.#first = this.#last = 0
  }

  #addFrag({ fragOffset, fragSize, fragToken, dmabufId }: ControlReader): void {
    const present = this.#group
    const group = present?.record.binding === dmabufId ? present : this.#beginGroup(dmabufId)
    const frag = new TokenFrag(fragOffset, fragSize, fragToken, group)
    this.#tokens.arrived(group.use)
    this.device_frags++
    if (this.#isForeign || this.#discards) frag.release()
    else this.#add(frag)
  }

  /** Begins a group of frags: one for each receive and binding, and with `traceLeaks` for each frag. */
  #beginGroup(binding: number): TokenGroup {
    const use = this.#useOf(binding)
    const group = new TokenGroup(use ?? foreign(binding), this.#tokens, this.#options.label)
    this.#isForeign = use === undefined
    this.#group = group
    return group
  }

  #useOf(id: number): BindingUse | undefined {
    const { uses } = this.#options
    // One binding is what nearly every connection has.
    for (let at = 0; at < uses.length; at++) if (uses[at]?.binding.id === id) return uses[at]
    return undefined
  }

  /** Copies bytes of the shared memory into pages, or out of it if the pool has none. */
  #addBytes(bytes: Uint8Array): void {
    if (this.#discards || this.#options.strict) return
    const { pool } = this.#options
    let at = 0
    while (at < bytes.byteLength && !this.dry) {
      const frag = pool.allocFrag(Math.min(bytes.byteLength - at, pool.pageSize))
      if (frag === undefined) break
      frag.bytes.set(bytes.subarray(at, at + frag.length))
      at += frag.length
      this.#add(frag)
    }
    if (at === bytes.byteLength) return
    this.#add(new Uint8Array(bytes.subarray(at)))
    this.#withoutPage++
  }
}

function foreign(id: number): BindingUse {
  return new BindingUse({ id, ifindex: 0, queues: [] })
}

function otherBinding(id: number): LinuxError {
  return new LinuxError(
    'NETMEM_DEVMEM_OTHER_BINDING',
    `Payload came in the memory of binding ${id}, which this connection was not given. Pass it as binding, or steer the flow to the queues of the binding that it has.`,
  )
}

function readable(bytes: number): LinuxError {
  return new LinuxError(
    'NETMEM_DEVMEM_READABLE',
    `${bytes} bytes of payload came in host memory, which strict refuses. Check that a flow rule steers the connection to a bound queue, and that header split is on.`,
  )
}
