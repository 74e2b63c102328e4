// A destination that moves at whatever moment ends its transfer, and nothing is written to it afterwards.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { rejection, send, until, type Way, ways, withEnds } from './harness.test.helper.ts'
import { receiveInto } from './receive-into.ts'

type Resizable = ArrayBuffer & { resize(bytes: number): void }
const ResizableBuffer = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => Resizable

/** One way to take memory from its owner. */
interface Move {
  readonly name: string
  readonly make: (bytes: number) => ArrayBuffer
  /** Returns whoever has the memory then. */
  readonly move: (memory: ArrayBuffer) => ArrayBuffer | undefined
  readonly skip: string | false
}

const plain = (bytes: number): ArrayBuffer => new ArrayBuffer(bytes)
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, 'transfer')
const moves: readonly Move[] = [
  {
    name: 'structuredClone',
    make: plain,
    move: (memory) => structuredClone(memory, { transfer: [memory] }),
    skip: false,
  },
  {
    name: 'ArrayBuffer.prototype.transfer',
    make: plain,
    move: (memory) => (transfer as () => ArrayBuffer).call(memory),
    skip: transfer === undefined && 'this Node.js has no ArrayBuffer.prototype.transfer',
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
    skip: false,
  },
  {
    name: 'resize',
    make: (bytes) => new ResizableBuffer(bytes, { maxByteLength: bytes }),
    move: (memory) => {
      ;(memory as Resizable).resize(0)
      return undefined
    },
    skip: false,
  },
]

/** When it moves, counted from the callback of a read. */
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
      const { driver } = connection
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
      // Two reads for each view, after one or none: the read in question leaves a view half full.
      const receiveAll = async (): Promise<void> => {
        if (read % 2 === 0) await receiveInto(connection, new Uint8Array(small), { onProgress })
        for (;;) {
          memory = make(2 * small)
          await receiveInto(connection, memory, { onProgress })
        }
      }
      await send(peer, 0, 150_000)
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
      test(
        `memory taken by ${move.name} in ${name} after a read (${way.name})`,
        { skip: way.skip || move.skip },
        async () => {
          for (const read of readNumbers) await moveAfter(way, move, moment, read)
        },
      )
    }

    test(
      `memory taken by ${move.name} while nothing arrives (${way.name})`,
      { skip: way.skip || move.skip },
      () =>
        withEnds(way, async ({ connection, peer }) => {
          for (const half of [100, 100_000]) {
            const memory = move.make(4 * half)
            let bytes = 0
            const onProgress = (filled: number): void => {
              bytes = filled
            }
            const received = receiveInto(connection, memory, { length: 2 * half, onProgress })
            await send(peer, 0, 2 * half)
            await received
            bytes = 0
            const broken = rejection(receiveInto(connection, memory, { onProgress }))
            await send(peer, 0, half)
            await until(() => bytes === half, 'a part has arrived')
            if (half === 100) {
              await send(peer, half, 4 * half)
              await until(() => bytes === 4 * half, 'all has arrived')
              continue
            }
            const owner = move.move(memory)
            const before = owner && new Uint8Array(owner).slice()
            await send(peer, half, 2 * half)
            assert.equal(await broken, 'NETMEM_DESTINATION_DETACHED')
            if (owner !== undefined) assert.deepEqual(new Uint8Array(owner), before)
          }
        }),
    )
  }
}
