/**
 * The card of `netmem/gvnic`: what a driver model measures of it, with the rings of `netmem/stack` and a
 * bare copy as peers, and what a guest does with it.
 */

import type { FrameRequest } from './gvnic-frame.child.ts'
import { guestFigures } from './gvnic-guest.ts'
import type { MachineRequest } from './gvnic-machine.child.ts'
import type { WiredRequest } from './gvnic-wired.child.ts'
import { type Context, type Figure, type Measure, measure, type Sample } from './measure.ts'
import { Child, SteadyChild } from './processes.ts'

export const gvnic: Figure = {
  name: 'gvnic',
  about: 'the network card for guests: frames, wired cards, registers, a guest',
  run: async (context) => {
    if (process.platform !== 'linux') {
      context.log('  not measured: the card needs Linux')
      return []
    }
    return [
      ...(await frames(context)),
      ...(await wired(context)),
      ...(await machine(context)),
      ...(context.quick ? [] : await guestFigures(context)),
    ]
  },
}

/** Turns of two processes that are warm, as those of the drivers' figure, and for the same reason. */
const TURNS = 11

async function turns<T>(
  context: Context,
  name: string,
  [ours, peer]: readonly [T, T],
  withRounds: (wish: T, rounds: number) => unknown,
  [warmUp, rounds]: readonly [number, number],
): Promise<readonly { readonly ours: Sample; readonly peer: Sample }[]> {
  const samples = []
  for (let pair = 1; pair <= context.pairs; pair++) {
    await using near = new SteadyChild(name)
    await using far = new SteadyChild(name)
    const askBoth = async (count: number): Promise<{ ours: Sample; peer: Sample }> => ({
      ours: await near.ask<Sample>(withRounds(ours, count)),
      peer: await far.ask<Sample>(withRounds(peer, count)),
    })
    const taken = [await askBoth(context.quick ? rounds : warmUp)]
    if (!context.quick) {
      taken.length = 0
      for (let turn = 0; turn < TURNS; turn++) taken.push(await askBoth(rounds))
    }
    const fastest = {
      ours: least(taken.map(({ ours: sample }) => sample)),
      peer: least(taken.map(({ peer: sample }) => sample)),
    }
    samples.push(fastest)
    context.log(`  pair ${pair} of ${context.pairs}: ${JSON.stringify(fastest)}`)
  }
  return samples
}

/**
 * Returns the least of each metric. Other work on the same core, on a hyperthread or beside a virtual
 * machine, makes the code of a card take up to twice as long, for minutes, and a bare copy hardly longer.
 * So the median of such turns says more of that work than of the card.
 */
function least(samples: readonly Sample[]): Sample {
  const [first = {}, ...others] = samples
  return others.reduce<Record<string, number>>(
    (all, sample) => {
      for (const [metric, value] of Object.entries(sample)) {
        all[metric] = Math.min(all[metric] ?? value, value)
      }
      return all
    },
    { ...first },
  )
}

async function frames(context: Context): Promise<readonly Measure[]> {
  const samples = await turns(
    context,
    'gvnic-frame',
    ['card', 'rings'],
    (end: FrameRequest['end'], rounds): FrameRequest => ({ end, rounds }),
    [600, 40],
  )
  return [
    measure(samples, 'ns', {
      id: 'gvnic-frame',
      title: 'a frame of 4 KiB through the card, by the driver model',
      unit: 'ns',
      better: 'less',
      ours: 'card',
      peer: 'the shared rings',
      target: { of: 'ratio', is: 'at least', value: 1 / 1.3, by: 'median' },
      note: 'the NIC’s thread alone; headers split off, both into plain memory',
    }),
  ]
}

async function wired(context: Context): Promise<readonly Measure[]> {
  const samples = await turns(
    context,
    'gvnic-wired',
    ['cards', 'copy'],
    (way: WiredRequest['way'], rounds): WiredRequest => ({ way, rounds }),
    [300, 40],
  )
  return [
    measure(samples, 'cpuPerGb', {
      id: 'gvnic-wired',
      title: 'two wired cards, TSO packets of 60 KiB: CPU',
      unit: 's/GB',
      better: 'less',
      ours: 'wired cards',
      peer: 'a bare copy in pieces of 4 KiB',
      target: { of: 'ratio', is: 'at least', value: 1 / 1.7, by: 'median' },
      note: 'the cards’ thread alone; pages lie in order, and the cards copy pieces that touch as one',
    }),
  ]
}

async function machine(context: Context): Promise<readonly Measure[]> {
  const samples = []
  for (let run = 1; run <= context.pairs; run++) {
    await using child = new Child('gvnic-machine')
    const request: MachineRequest = context.quick
      ? { reads: 20, binds: 5 }
      : { reads: 1000, binds: 100 }
    const sample = await child.ask<Sample>(request)
    const { waitMs, waitP99Ms, waitMaxMs } = sample
    samples.push({
      ours: sample,
      peer: {
        readMs: waitMs ?? Number.NaN,
        readP99Ms: waitP99Ms ?? Number.NaN,
        readMaxMs: waitMaxMs ?? Number.NaN,
      },
    })
    context.log(`  run ${run} of ${context.pairs}: ${JSON.stringify(sample)}`)
  }
  const sides = { unit: 'ms', better: 'less', ours: 'card', peer: 'a wait of 0.2 ms' } as const
  return [
    measure(samples, 'bindMs', {
      ...sides,
      peer: 'none',
      id: 'gvnic-bind',
      title: 'the card’s share of a bind',
      target: { of: 'ours', is: 'at most', value: 2, by: 'worst' },
      note: 'a receive queue destroyed and created, through the socket',
    }),
    measure(samples, 'readMs', {
      ...sides,
      id: 'gvnic-read',
      title: 'read of a register under full load, median',
      target: { of: 'ours', is: 'at most', value: 1, by: 'worst' },
    }),
    measure(samples, 'readP99Ms', {
      ...sides,
      id: 'gvnic-read-p99',
      title: 'the same, 99th percentile',
      target: { of: 'ours', is: 'at most', value: 1, by: 'median' },
    }),
    measure(samples, 'readMaxMs', {
      ...sides,
      id: 'gvnic-read-max',
      title: 'the same, longest',
      target: { of: 'ours', is: 'at most', value: 1, by: 'median' },
    }),
  ]
}
