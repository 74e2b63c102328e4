/**
 * `npm run bench [-- [--quick] [--write] [NAME...]]`: measures netmem against its peers in one run,
 * prints a table of ratios, and writes `bench/results.json`, `bench/chart.svg` and the tables of
 * `docs/benchmarks.md` when all of it was measured in full. With `--write` and names, those figures
 * replace earlier ones. `--quick` shows that everything runs and that the data is right, and asserts
 * no times. The run fails only where something does not work: a missed target is a result.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { chart } from './chart.ts'
import { collections } from './collections.ts'
import { connections } from './connections.ts'
import { dataEvents } from './data-events.ts'
import { gvnic } from './gvnic.ts'
import { heldMessages } from './held-messages.ts'
import { http, httpSmall } from './http.ts'
import { httpDigest } from './http-digest.ts'
import { iperf3 } from './iperf3.ts'
import { describeMachine, loadAverage } from './machine.ts'
import type { Context, Figure, Measure } from './measure.ts'
import { pageSize } from './page-size.ts'
import { poolCost } from './pool-cost.ts'
import { merged, type Results, resultsJson, table, withFigures } from './report.ts'
import { runtimes } from './runtimes.ts'
import { slowConsumer } from './slow-consumer.ts'
import { stack } from './stack.ts'
import { stalledClients } from './stalled-clients.ts'
import { tls } from './tls.ts'

const PAIRS = 7

const figures: readonly Figure[] = [
  iperf3,
  dataEvents,
  tls,
  collections,
  slowConsumer,
  heldMessages,
  connections,
  stalledClients,
  poolCost,
  pageSize,
  stack,
  gvnic,
  http,
  httpSmall,
  httpDigest,
  runtimes,
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, write: { type: 'boolean' }, help: { type: 'boolean' } },
})
const quick = values.quick ?? false
const chosen =
  positionals.length === 0 ? figures : figures.filter(({ name }) => positionals.includes(name))
if (values.help === true || chosen.length < positionals.length) {
  const names = figures.map(({ name, about }) => `  ${name.padEnd(15)}${about}`)
  console.log(`npm run bench -- [--quick] [--write] [NAME...]\n\n${names.join('\n')}`)
  process.exit(values.help === true ? 0 : 2)
}

const context: Context = { quick, pairs: quick ? 1 : PAIRS, log: (line) => console.log(line) }
const startedAt = new Date()
const measures: Measure[] = []
for (const { name, about, run } of chosen) {
  console.log(`${name}: ${about} (load ${loadAverage()})`)
  measures.push(...(await run(context)))
}

console.log(`\n${table(measures)}`)
if (quick)
  console.log('\nA quick run: everything runs and the data is right; the times mean nothing.')
if (values.write === true || (!quick && positionals.length === 0)) {
  const folder = new URL('../../bench/', import.meta.url)
  const file = new URL('results.json', folder)
  const machine = describeMachine()
  const date = startedAt.toISOString()
  const dated = measures.map((measured) => ({ ...measured, date, node: machine.node }))
  const earlier: Results | undefined =
    positionals.length === 0 ? undefined : JSON.parse(readFileSync(file, 'utf8'))
  const all = earlier === undefined ? dated : merged(earlier, dated)
  const run = earlier ?? { date, machine }
  writeFileSync(file, resultsJson(all, run, quick))
  writeFileSync(new URL('chart.svg', folder), chart(all, run.machine, new Date(run.date)))
  const page = new URL('../docs/benchmarks.md', folder)
  writeFileSync(page, withFigures(readFileSync(page, 'utf8'), all))
  console.log('\nWritten: bench/results.json, bench/chart.svg and docs/benchmarks.md')
}
