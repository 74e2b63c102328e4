/**
 * The user-space stack: one flow of jumbo frames from the wire to the socket, in pages and in device
 * memory, and a capture replayed. Peers are other ways through it, and a bare copy of the same shape.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  alternate,
  type Context,
  type Figure,
  type Measure,
  measure,
  type Sample,
} from './measure.ts'
import { Child } from './processes.ts'
import type { StackRequest } from './stack.child.ts'
import type { CopyRequest } from './stack-copy.child.ts'
import { driverCost } from './stack-driver.ts'
import type { ReplayRequest } from './stack-replay.child.ts'

type Wish = Pick<StackRequest, 'memory'> & Partial<StackRequest>

const GB = 1_000_000_000

/** One run in a new process, `times` as long as usual where differences are small. */
function flow(context: Context, wish: Wish, times = 1): () => Promise<Sample> {
  const bytes = context.quick ? GB / 20 : 4 * times * GB
  return async () => {
    await using child = new Child('stack')
    const request = { checksum: 'partial', take: 'frags', coalesce: false, ...wish } as const
    return await child.ask<Sample>({ warmUp: bytes / 4, bytes, ...request })
  }
}

export const stack: Figure = {
  name: 'stack',
  about: 'the user-space stack: one flow from the wire to the socket',
  run: async (context) => {
    await verify()
    return [
      ...(await speeds(context)),
      ...(await deviceMemory(context)),
      ...(await driverCost(context)),
      ...(await replayed(context)),
      ...(await garbage(context)),
    ]
  },
}

/** The same stream has the same hash on every path. The device computes its own. */
async function verify(): Promise<void> {
  const hashes = new Set<string>()
  const ways: readonly Wish[] = [
    { memory: 'page driver' },
    { memory: 'netmem driver', checksum: 'complete' },
    { memory: 'device memory', checksum: 'complete' },
    { memory: 'device memory', coalesce: true },
  ]
  for (const wish of ways) {
    await using child = new Child('stack')
    const request = { checksum: 'partial', coalesce: false, ...wish } as const
    hashes.add(await child.ask<string>({ ...request, take: 'hash', warmUp: 0, bytes: 10_000_000 }))
  }
  if (hashes.size !== 1) throw new Error(`one stream has ${hashes.size} hashes`)
}

async function speeds(context: Context): Promise<readonly Measure[]> {
  const bytes = context.quick ? GB / 20 : 4 * GB
  const copy = async (): Promise<Sample> => {
    await using child = new Child('stack-copy')
    const request: CopyRequest = { bytes }
    return await child.ask<Sample>(request)
  }
  const sides = {
    unit: 'GB/s',
    better: 'more',
    ours: 'wire to socket, two threads',
    peer: 'a bare copy, one thread',
  } as const
  const offloaded = await alternate(context, flow(context, { memory: 'page driver' }), copy)
  const verified = await alternate(
    context,
    flow(context, { memory: 'page driver', checksum: 'complete' }),
    copy,
  )
  return [
    measure(offloaded, 'gbPerS', {
      ...sides,
      id: 'stack-pages',
      title: 'stack, one flow of MSS 8948 into pages',
      target: { of: 'ours', is: 'at least', value: 1.5, by: 'median' },
      note: 'checksums left to the sender’s hardware',
    }),
    measure(verified, 'gbPerS', {
      ...sides,
      id: 'stack-checksum',
      title: 'the same, every checksum verified in software',
      target: { of: 'ours', is: 'at least', value: 0.8, by: 'median' },
    }),
  ]
}

async function deviceMemory(context: Context): Promise<readonly Measure[]> {
  const samples = await alternate(
    context,
    flow(context, { memory: 'device memory' }, 3),
    flow(context, { memory: 'page driver' }, 3),
  )
  return [
    measure(samples, 'gbPerS', {
      id: 'stack-device',
      title: 'device memory against pages',
      unit: 'GB/s',
      better: 'more',
      ours: 'device memory',
      peer: 'page driver',
      target: { of: 'ratio', is: 'at least', value: 0.95, by: 'median' },
    }),
  ]
}

async function replayed(context: Context): Promise<readonly Measure[]> {
  const bytes = context.quick ? GB / 20 : GB
  const folder = mkdtempSync(join(tmpdir(), 'netmem-bench-'))
  const path = join(folder, 'flow.pcapng')
  const ask = async <T>(what: ReplayRequest['what']): Promise<T> => {
    await using child = new Child('stack-replay')
    const request: ReplayRequest = { path, what, bytes }
    return await child.ask<T>(request)
  }
  try {
    await ask('make')
    const samples = await alternate(
      context,
      () => ask<Sample>('page'),
      () => ask<Sample>('device'),
    )
    const hashes = new Set(samples.flatMap(({ ours, peer }) => [ours['sha256'], peer['sha256']]))
    if (hashes.size !== 1) throw new Error(`one capture has ${hashes.size} hashes`)
    return [
      measure(samples, 'gbPerS', {
        id: 'stack-replay',
        title: 'replay of a 1 GB capture, checksums verified, stream hashed',
        unit: 'GB/s',
        better: 'more',
        ours: 'into pages',
        peer: 'into device memory',
        target: { of: 'ours', is: 'at least', value: 0.8, by: 'median' },
      }),
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function garbage(context: Context): Promise<readonly Measure[]> {
  const samples = await alternate(
    context,
    flow(context, { memory: 'device memory', take: 'recvmsg' }),
    flow(context, { memory: 'device memory', take: 'for await', coalesce: true }),
  )
  const inside = samples.map(({ ours }) => ({ ours, peer: ours }))
  const awaited = samples.map(({ peer }) => ({ ours: peer, peer }))
  const sides = { unit: '/GB', better: 'less', ours: 'netmem', peer: 'none' } as const
  return [
    measure(inside, 'minorPerGb', {
      ...sides,
      id: 'stack-garbage',
      title: 'stack: young collections per GB, up to recvmsg',
      target: { of: 'ours', is: 'at most', value: 1, by: 'median' },
    }),
    measure(awaited, 'minorPerGb', {
      ...sides,
      id: 'stack-garbage-await',
      title: 'the same through for await, segments coalesced',
      target: { of: 'ours', is: 'at most', value: 10, by: 'median' },
    }),
    measure([...inside, ...awaited], 'major', {
      ...sides,
      id: 'stack-garbage-major',
      title: 'stack: major collections',
      unit: '',
      target: { of: 'ours', is: 'at most', value: 0, by: 'worst' },
    }),
  ]
}
