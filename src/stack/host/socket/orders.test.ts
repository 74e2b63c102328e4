// Everything that ends, in every order, with memory in flight at each step: the socket, its pools,
// the binding, tokens, frags, and a packet that arrives between them. All orders, none sampled.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { type Netmem, release } from '../../../netmem.ts'
import type { Frag } from '../../../pool/frag.ts'
import { permutations } from '../../../testing/permutations.test.helper.ts'
import { assertCode, end } from '../../../testing/pools.test.helper.ts'
import { DEVMEM_CMSG_SPACE, parseControl } from '../../../wire/control-messages.ts'
import {
  type IovSource,
  iovSource,
  type Making,
  makings,
  type PageSource,
  pageSource,
  pattern,
  type SkbSource,
} from '../skb/skbs.test.helper.ts'
import { DevmemSocket } from './devmem-socket.ts'
import { type FragReceiver, receiveFrags } from './frags.ts'
import { MSG_SOCK_DEVMEM } from './messages.ts'

const actions = ['close', 'destroy', 'unbind', 'dontneed', 'release', 'arrive'] as const
type Action = (typeof actions)[number]

/** Bytes read before the order begins. */
const states = ['queued', 'partly read', 'tokens', 'frags', 'tokens, frags and queued'] as const
type State = (typeof states)[number]

const orders: readonly (readonly Action[])[] = permutations(actions)

/** One socket with memory in flight everywhere. */
class Scene {
  readonly pages: PageSource
  readonly iovs: IovSource
  readonly #socket = new DevmemSocket()
  readonly #receiver: FragReceiver
  readonly #frags: Frag[] = []
  readonly #tokens: number[] = []
  /** Memory that drivers have posted, and give back when their binding ends. */
  #posted: (() => void)[]
  readonly #arriving: (() => void)[]
  readonly #destroyed: Promise<void>[] = []

  constructor(making: Making, state: State) {
    this.pages = pageSource(16, making)
    this.iovs = iovSource(16, making)
    this.#receiver = receiveFrags(this.#socket)
    this.#posted = [post(this.pages, 99), post(this.iovs, 99)]
    const packets = ['page', 'net_iov', 'page', 'net_iov'] as const
    for (const [index, kind] of packets.entries()) this.#socket.queue(this.#packet(kind, index))
    const late = [this.#packet('page', 10), this.#packet('net_iov', 11)]
    this.#arriving = late.map((skb) => () => void this.#socket.queue(skb))
    if (state === 'partly read') this.#read(150, 3)
    if (state === 'tokens') this.#read(10_000, 10)
    if (state === 'frags') this.#take(100)
    if (state === 'tokens, frags and queued') {
      this.#read(150, 3)
      this.#take(3)
    }
  }

  #closed = false

  do(action: Action): void {
    switch (action) {
      case 'close':
        this.#socket.close()
        this.#closed = true
        break
      case 'destroy':
        this.#destroyed.push(this.pages.pool.destroy(), this.iovs.pool.destroy())
        break
      case 'unbind':
        for (const giveBack of this.#posted.splice(0)) giveBack()
        break
      case 'dontneed':
        this.#dontneed()
        break
      case 'release':
        for (const frag of this.#frags.splice(0)) frag.release()
        break
      case 'arrive':
        for (const arrive of this.#arriving.splice(0)) arrive()
    }
    // Twice is harmless where it is legal.
    if (action === 'close') this.#socket.close()
  }

  async finish(): Promise<void> {
    assert.equal(this.#socket.stats().tokens, 0)
    assert.equal(this.#socket.stats().queued_bytes, 0)
    assert.equal(this.pages.pool.stats().copied.bytes_out, 0)
    await Promise.all(this.#destroyed)
    this.pages.forget()
    this.iovs.forget()
    await end(this.pages.pool, this.iovs.pool)
  }

  /** Netmem out, of both pools. */
  get out(): number {
    return this.pages.pool.out + this.iovs.pool.out
  }

  #packet(kind: 'page' | 'net_iov', netmem: number) {
    const pieces = [
      { netmem, offset: 0, length: 100 },
      { netmem: netmem + 20, offset: 0, length: 100 },
      { netmem, offset: 200, length: 100 },
    ]
    return kind === 'page'
      ? this.pages.skb(pieces, pattern(10))
      : this.iovs.skb(pieces, pattern(10))
  }

  /** Reads `bytes` bytes up to `times` times, or until the queue is empty. */
  #read(bytes: number, times: number): void {
    const control = new Uint8Array(10 * DEVMEM_CMSG_SPACE)
    for (let count = 0; count < times && this.#socket.reader.queue.length > 0; count++) {
      const { controlBytes } = this.#socket.recvmsg({
        iov: [new Uint8Array(bytes)],
        control,
        flags: MSG_SOCK_DEVMEM,
      })
      for (const message of parseControl(control, controlBytes)) {
        if (message.kind === 'dmabuf') this.#tokens.push(message.fragToken)
      }
    }
  }

  #take(frags: number): void {
    for (let count = 0; count < frags; count++) {
      const frag = this.#receiver.take()
      if (frag === undefined) break
      this.#frags.push(frag)
    }
  }

  #dontneed(): void {
    const ranges = this.#tokens.splice(0).map((start) => ({ start, count: 1 }))
    if (this.#closed) {
      assertCode('NETMEM_SOCKET_CLOSED', () => this.#socket.dontneed(ranges))
    } else if (ranges.length > 0) {
      assert.equal(this.#socket.dontneed(ranges), ranges.length)
    }
  }
}

/** Posts a netmem. Returns a function that gives it back. */
function post<M extends Netmem>(source: SkbSource<M>, number: number): () => void {
  const m = source.netmem(number)
  return () => release(m)
}

assert.equal(orders.length, 720)

for (const making of makings) {
  for (const state of states) {
    test(`close, destroy, unbind, dontneed, release and arrival in every order: ${state}, ${making} pools`, async () => {
      for (const order of orders) {
        const scene = new Scene(making, state)
        assert.ok(scene.out > 0)
        for (const [step, action] of order.entries()) {
          const before = scene.out
          scene.do(action)
          assert.ok(scene.out <= before, `${order}: ${action} takes nothing`)
          const done = order.slice(0, step + 1)
          if (done.includes('unbind') && done.includes('close') && !done.includes('arrive')) {
            assert.ok(scene.out > 0, `${order}: what is about to arrive is out`)
          }
        }
        assert.equal(scene.out, 0, `${order}`)
        await scene.finish()
      }
      await immediate()
    })
  }
}

for (const making of makings) {
  test(`device memory stays until the last net_iov in flight has come back: ${making} pools`, async () => {
    const source = iovSource(4, making)
    const socket = new DevmemSocket()
    socket.queue(source.skb([{ netmem: 0, offset: 0, length: 10 }]))
    source.forget()
    const frag = receiveFrags(socket).take()
    assert.ok(frag?.kind === 'net_iov')
    let gone = false
    const destroyed = source.pool.destroy().then(() => {
      gone = true
    })
    await immediate()
    assert.ok(!gone)
    frag.release()
    await immediate()
    await destroyed
    assert.ok(gone)
    socket.close()
    await end(source.pool)
  })
}

test('regression: a return arriving after the driver unbound', async () => {
  const scene = new Scene('dual', 'frags')
  for (const action of ['arrive', 'destroy', 'unbind'] as const) scene.do(action)
  assert.ok(scene.out > 0)
  for (const action of ['release', 'dontneed', 'close'] as const) scene.do(action)
  assert.equal(scene.out, 0)
  await scene.finish()
})
