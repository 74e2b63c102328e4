/** Parts among processes that are killed, stopped and started at any point. */

import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, utimesSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Random } from '../../../random.ts'
import { rounds } from '../../../testing/rounds.test.helper.ts'
import { freshFolder } from '../../http.test.helper.ts'
import { resolveTarget } from './file-path.ts'
import { body, type Command, type Report, resumable, WHOLE_BYTES } from './part-file.test.worker.ts'
import { PartFile } from './part-file.ts'

const WORKER = fileURLToPath(new URL('./part-file.test.worker.js', import.meta.url))
const running = new Set<Actor>()
after(() => {
  for (const actor of running) actor.kill()
})

class Actor {
  readonly #child: ChildProcess
  readonly ended: Promise<unknown>
  /** Last report of the actor. Empty before its first job. */
  last: Report = {}

  constructor(...args: string[]) {
    this.#child = fork(WORKER, args)
    this.ended = once(this.#child, 'exit')
    running.add(this)
  }

  static async start(...args: string[]): Promise<Actor> {
    const actor = new Actor(...args)
    assert.equal((await actor.hear()).step, 'ready')
    return actor
  }

  /** Each message to it brings one report. */
  async hear(): Promise<Report> {
    const reports: Report[] = await once(this.#child, 'message')
    this.last = reports[0] ?? {}
    return this.last
  }

  say(message: Command | 'go'): void {
    this.#child.send(message)
  }

  /** Does a job that fails only where an error is reported. */
  async do(job: Command['job'], target: string): Promise<Report> {
    this.say({ job, target })
    return this.hear()
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    running.delete(this)
    this.signal('SIGKILL')
    await this.ended
  }
}

describe('parts of several processes', () => {
  it('that are killed are taken over, by one of two, at once', async () => {
    const { at, names } = freshFolder()
    const target = at('f')
    let writer = await Actor.start()
    let others = [await Actor.start(), await Actor.start(), await Actor.start()]
    for (let round = 1; round <= 3; round++) {
      if (round === 1) await writer.do('make', target)
      const { size = 0 } = await writer.do('write', target)
      assert.equal(size, round * 10_000)
      await writer.kill()
      const claims = await Promise.all(others.map((other) => other.do('claim', target)))
      assert.deepEqual(claims.map((claim) => claim.size).sort(), [0, 0, size])
      const winner = others[claims.findIndex((claim) => claim.size === size)]
      assert.ok(winner !== undefined)
      await winner.do('make', target)
      others = [...others.filter((other) => other !== winner), await Actor.start()]
      writer = winner
    }
    await writer.do('write', target)
    assert.deepEqual(await writer.do('finish', target), { done: 'finish', size: WHOLE_BYTES })
    assert.deepEqual(names(), ['f'])
    assert.deepEqual(readFileSync(target), body())
    await Promise.all([writer, ...others].map((actor) => actor.kill()))
  })

  it('that are stopped keep what they have, and continue', async () => {
    const { at, names } = freshFolder()
    const target = at('f')
    const stopped = await Actor.start()
    await stopped.do('make', target)
    await stopped.do('write', target)
    stopped.signal('SIGSTOP')
    const other = await Actor.start()
    assert.equal((await other.do('claim', target)).size, 0)
    await other.do('make', target)
    for (let i = 0; i < 4; i++) await other.do('write', target)
    assert.equal((await other.do('finish', target)).error, undefined)
    assert.equal(names().length, 4, 'the file, and the part, note and socket of the stopped one')
    stopped.signal('SIGCONT')
    for (let i = 0; i < 3; i++) await stopped.do('write', target)
    assert.equal((await stopped.do('finish', target)).error, undefined)
    assert.deepEqual(readFileSync(target), body())
    assert.deepEqual(names(), ['f'])
    await Promise.all([stopped.kill(), other.kill()])
  })

  it('never share a file, in any order of their calls, with either killed at each', async () => {
    let actors = await Promise.all([1, 2, 3].map(() => Actor.start('--steps')))
    for (let seed = 1; seed <= rounds(20); seed++) {
      const { at, names } = freshFolder()
      const target = at('f')
      // Part that each actor may continue.
      const kept = await PartFile.create(await resolveTarget(target), resumable)
      await kept.handle.write(body(0, 5_000), 0, 5_000, 0)
      await kept.keep(5_000, resumable)
      await interleave(actors, target, new Random(seed))
      actors = await Promise.all(
        actors.map((actor) => (running.has(actor) ? actor : Actor.start('--steps'))),
      )
      // Actors killed before they had sockets count as dead when their notes are old.
      const old = new Date(Date.now() - 120_000)
      for (const name of names()) if (name.endsWith('.json')) utimesSync(at(name), old, old)
      // An undisturbed transfer removes what the others left.
      const destination = await resolveTarget(target)
      const part =
        (await PartFile.claim(destination, resumable.url))?.part ??
        (await PartFile.create(destination, resumable))
      await part.handle.write(body(), 0, WHOLE_BYTES, 0)
      await part.finish()
      assert.deepEqual(names(), ['f'], `seed ${seed}`)
      assert.deepEqual(readFileSync(target), body())
    }
    await Promise.all(actors.map((actor) => actor.kill()))
  })
})

/** Job of each actor: a transfer that resumes where it can. */
const JOBS = ['claim', 'make', 'write', 'write', 'write', 'write'] as const

/** Lets one of them take a step after the other, until all have ended their transfers or are dead. */
async function interleave(all: readonly Actor[], target: string, random: Random): Promise<void> {
  const at = new Map(all.map((actor) => [actor, 0]))
  const inodes = new Map<Actor, number>()
  for (const actor of all) actor.last = {}
  while (at.size > 0) {
    const actors = [...at.keys()]
    const actor = actors[random.below(actors.length)]
    assert.ok(actor !== undefined)
    if (random.below(60) === 0) {
      await actor.kill()
      at.delete(actor)
      inodes.delete(actor)
      continue
    }
    if (actor.last.step !== undefined) actor.say('go')
    else {
      const job = at.get(actor) ?? 0
      const last =
        (['finish', 'keep', 'discard'] as const)[Math.min(2, random.below(4))] ?? 'finish'
      // The actor gives the file up before another one may have it.
      if (job === JOBS.length) inodes.delete(actor)
      actor.say({ job: JOBS[job] ?? last, target })
    }
    const report = await actor.hear()
    if (report.done === undefined) continue
    assert.equal(report.error, undefined)
    if (at.get(actor) === JOBS.length) {
      at.delete(actor)
      actor.last = {}
      continue
    }
    at.set(actor, (at.get(actor) ?? 0) + 1)
    if (report.inode === undefined) continue
    inodes.set(actor, report.inode)
    assert.equal(new Set(inodes.values()).size, inodes.size, 'each writes to a file of its own')
    if (existsSync(target)) assert.equal(statSync(target).size, WHOLE_BYTES, 'it is whole')
  }
}
