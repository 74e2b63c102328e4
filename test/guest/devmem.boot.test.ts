// Devmem sockets over two cards of netmem, wired to each other: the guest kernel's own gve, devmem TCP
// and netlink. The steps are in devmem/main.mjs, which runs in the guest.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openWiredCards } from 'netmem/gvnic'
import { runInGuest } from './guest.ts'

/** Programs of the guest. This file runs in build/test/guest. */
const PROGRAMS = fileURLToPath(new URL('../../../test/guest/devmem', import.meta.url))

const STEPS = [
  'refusals',
  'double bind',
  'receive',
  'receive into huge pages',
  'send',
  'closes in every order',
  'worker terminated in mid-transfer',
  'process killed in mid-transfer',
  'IPv6',
  'a descriptor that was accepted elsewhere',
  'little room for completions',
  'memory of heaps, by the commands',
  'examples/devmem-receiver.ts',
  'sender killed in mid-transfer',
  'netmem iperf3 --memory devmem',
  'a thread for each of two queues of four',
  'a prepared card, a process without rights, a kill, and undo',
  'one queue restarted while others receive',
  'a leased queue in a container without rights',
  'rules and RSS changed in mid-flow, over a wire that loses and damages frames',
  'driver unbound in mid-transfer',
  'the driver goes before, between and behind all ends',
  'a thread goes before, between and behind all ends',
  'end',
]

/**
 * A checksum of bytes that nothing but a device can read, which TCP asks for where a card finds a wrong one
 * (K: net/core/skbuff.c, `__skb_checksum`).
 */
const UNREADABLE = /WARNING: net\/core\/skbuff\.c/

it('devmem sockets receive, send and end over two wired cards', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-devmem-'))
  try {
    const sockets = [join(folder, 'a.sock'), join(folder, 'b.sock')]
    await using _cards = await openWiredCards({ sockets, mtu: 4148 })
    const programs = readdirSync(PROGRAMS)
    const { exitCode, output } = await runInGuest('node main.mjs', {
      files: Object.fromEntries(programs.map((name) => [name, readFileSync(join(PROGRAMS, name))])),
      network: sockets.map((socket) => ({ kind: 'gvnic', socket })),
      modules: ['sch_netem'],
      environment: { NETMEM_SOAK: process.env['NETMEM_SOAK'] ?? '1' },
      expectedWarning: UNREADABLE,
      timeoutMs: 560_000,
    })
    t.diagnostic(output)
    assert.equal(exitCode, 0, output)
    const steps = output.trim().split('\n')
    assert.deepEqual(
      steps.map((line) => line.replace(/ \([0-9.]+ s\)$/, '')),
      STEPS,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
