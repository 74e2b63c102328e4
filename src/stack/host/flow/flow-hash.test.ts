import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flowHash, randomSecret } from './flow-hash.ts'
import { FlowKey, PORTS, PROTOCOL } from './flow-key.ts'
import { FlowTable } from './flow-table.ts'

/** A TCP flow between two IPv4 addresses, or two IPv6 addresses with zeros behind the first words. */
function keyOf(source: number, destination: number, version: 4 | 6 = 4): FlowKey {
  const key = new FlowKey()
  key.words[0] = source
  key.words[4] = destination
  key.words[PORTS] = (1000 << 16) | 80
  key.words[PROTOCOL] = (version << 8) | 6
  return key
}

const secret = { low: 0x0302_0100, high: 0x0706_0504 }

test('every word of a key counts, and every bit of the secret', () => {
  for (const version of [4, 6] as const) {
    const key = keyOf(0x0a00_0001, 0x0a00_0002, version)
    const plain = flowHash(key, secret)
    assert.equal(flowHash(key.copy(), secret), plain)
    const hashes = new Set([plain])
    const words = version === 4 ? [0, 4, PORTS, PROTOCOL] : key.words.keys()
    let tried = 1
    for (const word of words) {
      const other = key.copy()
      other.words[word] = (other.words[word] ?? 0) ^ 1
      hashes.add(flowHash(other, secret))
      tried++
    }
    for (let bit = 0; bit < 32; bit++, tried += 2) {
      hashes.add(flowHash(key, { ...secret, low: secret.low ^ (1 << bit) }))
      hashes.add(flowHash(key, { ...secret, high: secret.high ^ (1 << bit) }))
    }
    assert.equal(hashes.size, tried)
  }
})

test('flows that collide under one secret do not under another', () => {
  // Flows whose first slot of a table of 2^12 is the same one: what an attacker would look for.
  const colliding: FlowKey[] = []
  for (let source = 1; colliding.length < 200; source++) {
    const key = keyOf(source, 0x0b00_0001)
    if ((flowHash(key, secret) & 0xfff) === 7) colliding.push(key)
  }
  const other = randomSecret()
  const slots = new Set(colliding.map((key) => flowHash(key, other) & 0xfff))
  // 200 of 4096 at random: 195 on the average, with a deviation of 2.1.
  assert.ok(slots.size > 150, `${slots.size} slots`)
})

test('tables have secrets of their own, unless one is given', () => {
  const orders = new Set<string>()
  for (let table = 0; table < 3; table++) orders.add(order())
  assert.ok(orders.size > 1)
  assert.equal(order(secret), order(secret))
})

/** Flows in the order of their slots. */
function order(given?: typeof secret): string {
  const table = new FlowTable((key) => key, 1000, given)
  for (let source = 0; source < 60; source++) table.findOrMake(keyOf(source, 1))
  return [...table.flows()].map(({ words }) => words[0]).join()
}
