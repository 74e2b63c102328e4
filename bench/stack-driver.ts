/**
 * Cost of the driver of both kinds against the driver of pages, both on pages: a packet's
 * time in the driver's thread. Two processes that are warm take turns of a few milliseconds, on one
 * processor, with the code compiled while it waits: where another processor runs slower, or code
 * happens to be compiled before all of it has run, the same driver takes up to 1.5 times as long.
 */

import { brief, type Context, type Measure, measure, type Sample } from './measure.ts'
import { SteadyChild } from './processes.ts'
import type { DriverRequest } from './stack-driver.child.ts'

/** Rounds of 256 packets until all is compiled, rounds of a turn, and turns of a pair. */
const WARM_UP_ROUNDS = 4000
const ROUNDS = 60
const TURNS = 31

export async function driverCost(context: Context): Promise<readonly Measure[]> {
  const samples = []
  for (let pair = 1; pair <= context.pairs; pair++) {
    const turn = await medianTurn(context)
    samples.push(turn)
    const [ours, peer] = [turn.ours, turn.peer].map(({ ns }) => brief(ns ?? Number.NaN))
    context.log(`  pair ${pair} of ${context.pairs}: ${ours} against ${peer} ns`)
  }
  return [
    measure(samples, 'ns', {
      id: 'stack-dual',
      title: 'netmem driver against page driver, both on pages, a packet',
      unit: 'ns',
      better: 'less',
      ours: 'netmem driver',
      peer: 'page driver',
      target: { of: 'ratio', is: 'at least', value: 0.97, by: 'median' },
      note: 'the driver’s thread alone: poll, skb, free, post; the NIC beside it writes no payload',
    }),
  ]
}

/** The turn whose ratio is the median, of two processes that live for so long. */
async function medianTurn({
  quick,
}: Context): Promise<{ readonly ours: Sample; readonly peer: Sample }> {
  await using ours = new SteadyChild('stack-driver')
  await using peer = new SteadyChild('stack-driver')
  const askBoth = async (rounds: number): Promise<{ ours: Sample; peer: Sample }> => {
    const wish = (driver: DriverRequest['driver']): DriverRequest => ({ driver, rounds })
    return {
      ours: await ours.ask<Sample>(wish('netmem driver')),
      peer: await peer.ask<Sample>(wish('page driver')),
    }
  }
  const first = await askBoth(quick ? ROUNDS : WARM_UP_ROUNDS)
  if (quick) return first
  const turns = []
  for (let turn = 0; turn < TURNS; turn++) turns.push(await askBoth(ROUNDS))
  turns.sort((a, b) => ratio(a) - ratio(b))
  return turns[Math.floor(TURNS / 2)] ?? first
}

function ratio({ ours, peer }: { readonly ours: Sample; readonly peer: Sample }): number {
  return (peer['ns'] ?? 0) / (ours['ns'] ?? 0)
}
