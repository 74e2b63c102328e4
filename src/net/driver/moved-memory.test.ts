// A destination that moves at any moment ends its transfer, and nothing is written to it afterwards.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { type Resizable, resizable } from '../../testing/resizable.test.helper.ts'
import {
  driverOf,
  type Kind,
  rejection,
  send,
  until,
  type Way,
  ways,
  withEnds,
} from '../harness.test.helper.ts'
import { receiveInto } from '../receivers/receive-into.ts'

/** One way to take memory from its owner. */
interface Move {
  readonly name: string
  readonly make: (bytes: number) => ArrayBuffer
  /** Returns the new holder of the memory. */
  readonly move: (memory: ArrayBuffer) => ArrayBuffer | undefined
}

const plain = (bytes: number): ArrayBuffer => new ArrayBuffer(bytes)
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, 'transfer')
const allMoves: readonly Move[] = [
  {
    name: 'structuredClone',
    make: plain,
    move: (memory) => structuredClone(memory, { transfer: [memory] }),
  },
  {
    name: 'ArrayBuffer.prototype.transfer',
    make: plain,
    move: (memory) => (transfer as () => ArrayBuffer).call(memory),
  },
  {
    name: 'postMessage',
    make: plain,
    move: (memory) => {
      const { port1, port2 } = new MessageChannel()
      port1.postMessage(memory, [memory])
      const moved = receiveMessageOnPort(port2)?.message
      port1.close()
      return moved
    },
  },
  {
    name: 'resize',
    make: (bytes) => resizable(bytes),
    move: (memory) => {
      ;(memory as Resizable).resize(0)
      return undefined
    },
  },
]

// Node.js 20 has no ArrayBuffer.prototype.transfer.
const moves = allMoves.filter(({ name }) => transfer !== undefined || !name.endsWith('transfer'))

/** Moment of the move, counted from the callback of a read. */
const moments: { readonly [name: string]: (move: () => void) => void } = {
  onProgress: (move) => move(),
  'a microtask': queueMicrotask,
  'a microtask later': (move) => queueMicrotask(() => queueMicrotask(move)),
  'the next tick': process.nextTick,
  'an immediate': setImmediate,
}

// libuv reads 32 times before it returns to the event loop.
const readNumbers = [1, 2, 3, 31, 32, 33, 64]
const small = 2048
// Two reads for each view. TLS delivers whole records, so it brings more.
const viewBytes = (kind: Kind): number => (kind === 'tls' ? 1_000_000 : 2 * small)

/** Takes the memory of the transfer that is under way after so many reads. */
async function moveAfter(
  way: Way,
  { make, move }: Move,
  moment: (move: () => void) => void,
  read: number,
): Promise<void> {
  await withEnds(
    way,
    async ({ connection, peer }) => {
      const driver = driverOf(connection)
      let reads = 0
      let memory = make(0)
      let owner: ArrayBuffer | undefined
      let before: Uint8Array | undefined
      const take = (): void => {
        owner = move(memory)
        before = owner && new Uint8Array(owner).slice()
      }
      const arrived = driver.arrived.bind(driver)
      driver.arrived = (bytes) => {
        reads++
        return arrived(bytes)
      }
      const onProgress = (): void => {
        if (reads === read) moment(take)
      }
      // Receives after one read or none, so that the read in question leaves a view half full.
      const receiveAll = async (): Promise<void> => {
        if (read % 2 === 0) await receiveInto(connection, new Uint8Array(small), { onProgress })
        for (;;) {
          memory = make(viewBytes(way.kind))
          await receiveInto(connection, memory, { onProgress })
        }
      }
      // All of it is there before the first read, save over TLS.
      const sent = send(peer, 0, way.kind === 'tls' ? 1_000_000 : 150_000).then(() => peer.end())
      if (way.kind !== 'tls') await sent
      const code = await rejection(receiveAll())
      assert.equal(code, 'NETMEM_DESTINATION_DETACHED', `after read ${read}`)
      await connection.closed
      if (owner === undefined || before === undefined) return
      assert.deepEqual(new Uint8Array(owner), before, `nothing is written after read ${read}`)
    },
    { smallBufferBytes: small },
  )
}

for (const way of ways(['tcp4', 'unix', 'tls'], ['posted'])) {
  for (const move of moves) {
    for (const [name, moment] of Object.entries(moments)) {
      test(`memory taken by ${move.name} in ${name} after a read (${way.name})`, {
        skip: way.skip,
      }, async () => {
        for (const read of readNumbers) await moveAfter(way, move, moment, read)
      })
    }

    test(
      `memory taken by ${move.name} while nothing arrives (${way.name})`,
      { skip: way.skip },
      () =>
        withEnds(way, async ({ connection, peer }) => {
          const memory = move.make(200_000)
          let bytes = 0
          const onProgress = (filled: number): void => {
            bytes = filled
          }
          const broken = rejection(receiveInto(connection, memory, { onProgress }))
          await send(peer, 0, 100_000)
          await until(() => bytes === 100_000, 'half has arrived')
          const owner = move.move(memory)
          const before = owner && new Uint8Array(owner).slice()
          await send(peer, 100_000, 200_000)
          assert.equal(await broken, 'NETMEM_DESTINATION_DETACHED')
          if (owner !== undefined) assert.deepEqual(new Uint8Array(owner), before)
        }),
    )
  }
}
