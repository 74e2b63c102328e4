/**
 * Figures and their measurement: alternating pairs of ours and a peer's in one run,
 * and medians of them, so that a busy machine slows both.
 */

/** Length of a run, and the place for its progress. */
export interface Context {
  /** True if the run only shows that the benchmark works and that its data is right. */
  readonly quick: boolean
  /** Pairs per figure: seven, or one in a quick run. */
  readonly pairs: number
  readonly log: (line: string) => void
}

/** One of the benchmark's programs. It yields one or more measures. */
export interface Figure {
  /** Name on the command line. */
  readonly name: string
  readonly about: string
  readonly run: (context: Context) => Promise<readonly Measure[]>
}

/** Result of one run of one side, by metric. */
export type Sample = Readonly<Record<string, number>>

export interface Pair {
  readonly ours: number
  readonly peer: number
}

/** Expectation of the ratio, or of our figure alone. */
export interface Target {
  readonly of: 'ratio' | 'ours'
  readonly is: 'at least' | 'at most'
  readonly value: number
  /** A speed is held by the median of all pairs, a promise by the worst. */
  readonly by: 'median' | 'worst'
}

export interface Measure {
  readonly id: string
  readonly title: string
  readonly unit: string
  /** `more` if more is better. */
  readonly better: 'more' | 'less'
  /** Names of both sides. */
  readonly ours: string
  readonly peer: string
  readonly pairs: readonly Pair[]
  readonly target: Target | undefined
  readonly note: string
}

/** A measure before it has run. */
export type Description = Omit<Measure, 'pairs' | 'target' | 'note'> & {
  readonly target?: Target
  readonly note?: string
}

/** Samples of both sides: A B A B … */
export async function alternate(
  context: Context,
  ours: () => Promise<Sample>,
  peer: () => Promise<Sample>,
): Promise<readonly { readonly ours: Sample; readonly peer: Sample }[]> {
  const samples = []
  for (let pair = 1; pair <= context.pairs; pair++) {
    const a = await ours()
    const b = await peer()
    samples.push({ ours: a, peer: b })
    context.log(`  pair ${pair} of ${context.pairs}: ${describe(a)} against ${describe(b)}`)
  }
  return samples
}

/** The measure that one metric of the samples makes. */
export function measure(
  samples: readonly { readonly ours: Sample; readonly peer: Sample }[],
  metric: string,
  { target, note, ...description }: Description,
): Measure {
  const pairs = samples.map(({ ours, peer }) => ({
    ours: ours[metric] ?? Number.NaN,
    peer: peer[metric] ?? Number.NaN,
  }))
  return { ...description, pairs, target, note: note ?? '' }
}

/** Ours as a multiple of the peer's, such that more is always better. */
export function ratioOf({ better }: Measure, { ours, peer }: Pair): number {
  return better === 'more' ? ours / peer : peer / ours
}

/** The median ratio over all pairs. */
export function medianRatio(measured: Measure): number {
  return median(measured.pairs.map((pair) => ratioOf(measured, pair)))
}

/** True if the target is met, or `undefined` without one. */
export function isMet(measured: Measure): boolean | undefined {
  const { target } = measured
  if (target === undefined) return undefined
  const values = measured.pairs.map((pair) =>
    target.of === 'ratio' ? ratioOf(measured, pair) : pair.ours,
  )
  const atLeast = target.is === 'at least'
  const value =
    target.by === 'median' ? median(values) : atLeast ? Math.min(...values) : Math.max(...values)
  return atLeast ? value >= target.value : value <= target.value
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (upper + lower) / 2
}

/** A number with three significant digits at most, and no trailing zeros. */
export function brief(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '–'
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

function describe(sample: Sample): string {
  return Object.entries(sample)
    .map(([metric, value]) => `${metric} ${brief(value)}`)
    .join(', ')
}
