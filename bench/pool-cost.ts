/**
 * Cost of the pool in nanoseconds, against the same data structure in C, on the same processor,
 * since others may be slower by half.
 */

import { compile } from './compile.ts'
import { alternate, type Figure, measure, type Sample } from './measure.ts'
import { Child, onOneProcessor, outputOf, SteadyChild } from './processes.ts'

/** The kernel's own page pool, alloc and recycle, as published for a Xeon of 3.6 GHz. */
const KERNEL_NS = { cache: 5.4, ring: 15.1 }
/** Targets in nanoseconds. */
const RING_NS = 20
const SHARED_NS = 100

export const poolCost: Figure = {
  name: 'pool-cost',
  about: 'alloc and put in nanoseconds, against the same in C',
  run: async (context) => {
    const rounds = context.quick ? 2_000_000 : 50_000_000
    const ours = async (): Promise<Sample> => {
      await using steady = new SteadyChild('pool-cost')
      const alone = await steady.ask<Sample>({ what: 'alone', rounds })
      await using child = new Child('pool-cost')
      return { ...alone, ...(await child.ask<Sample>({ what: 'shared', rounds })) }
    }
    using compiled = await compile('pool-twin.c')
    const twin = compiled?.path
    if (twin === undefined) context.log('  no C compiler (cc): the kernel is the peer instead')
    const peer = async (): Promise<Sample> =>
      twin === undefined
        ? KERNEL_NS
        : (JSON.parse(await outputOf(...onOneProcessor(twin, [String(rounds)]))) as Sample)
    const samples = await alternate(context, ours, peer)
    const sides = {
      unit: 'ns',
      better: 'less' as const,
      ours: 'netmem',
      peer: twin === undefined ? 'the kernel’s published figure' : 'the same in C',
    }
    const kernel = (ns: number): string => `the kernel's, on another machine: ${ns} ns`
    return [
      measure(samples, 'cache', {
        ...sides,
        id: 'pool-cache',
        title: 'alloc and put, cache',
        // The pool may take 1.5 times as long.
        target: { of: 'ratio', is: 'at least', value: 1 / 1.5, by: 'median' },
        note: kernel(KERNEL_NS.cache),
      }),
      measure(samples, 'ring', {
        ...sides,
        id: 'pool-ring',
        title: 'alloc and put, ring',
        target: { of: 'ours', is: 'at most', value: RING_NS, by: 'median' },
        note: kernel(KERNEL_NS.ring),
      }),
      measure(samples, 'shared', {
        ...sides,
        id: 'pool-shared',
        title: 'alloc here, put there, taken back here',
        peer: 'none',
        target: { of: 'ours', is: 'at most', value: SHARED_NS, by: 'median' },
        note: 'both threads together',
      }),
      measure(samples, 'frag', {
        ...sides,
        id: 'pool-shared-frag',
        title: 'the same with a frag made, lent and received',
        peer: 'none',
        note: 'both threads together, without postMessage',
      }),
    ]
  },
}
