// A card that `netmem devmem prepare` has set up as root: a process without rights receives on it. Then
// the first is killed, and `netmem devmem undo` restores the card.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hashOf, payload } from './payload.mjs'
import { HANG_MS, within } from './waiting.mjs'
import { card, HERE, ifindex, order } from './wire.mjs'

const checkout = process.env.CHECKOUT
const { ethtool, openFlowRules } = await import(`${checkout}/dist/linux/index.js`)

const NOBODY = 65_534
const PORT = 5230
const SOCKET = '/run/prepared.sock'

/** All that prepareQueues() may change. */
async function settings(netlink) {
  const header = { 'dev-index': ifindex }
  const { 'tcp-data-split': split } = await netlink.do(ethtool, 'rings-get', { header })
  const { active } = await netlink.do(ethtool, 'features-get', { header })
  const { indir } = await netlink.do(ethtool, 'rss-get', { header })
  const rules = await openFlowRules({ ifindex })
  const installed = rules.list()
  rules.close()
  return { split, active: active.bits.bit.map(({ name }) => name), indir, rules: installed }
}

/** Has root prepare the card, and a process of the user nobody receive. */
export async function receiveWithoutRights({ netlink, cli, unbound }) {
  const before = await settings(netlink)
  const queues = ['--queues', '2,3', '--port', `${PORT}`, '--size', '8MiB']
  const offer = ['--socket', SOCKET, '--user', `${NOBODY}`, '--json']
  const program = [`${checkout}/dist/cli/main.js`, 'devmem', 'prepare', card, ...queues, ...offer]
  const root = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'pipe'] })
  let notes = ''
  root.stderr.setEncoding('utf8').on('data', (text) => {
    notes += text
  })
  const killed = once(root, 'close')
  const early = killed.then(() => assert.fail(notes))
  // The process is killed in the end.
  early.catch(() => {})
  const ready = Promise.race([once(root.stdout, 'data'), early])
  const [line] = await within(HANG_MS, 'devmem prepare', ready)
  const { event, binding, rules } = JSON.parse(line)
  assert.deepEqual([event, rules.length], ['ready', 2])

  const facts = JSON.stringify({ checkout, path: SOCKET, host: HERE, port: PORT })
  const nobody = spawn(process.execPath, ['without-rights.mjs', facts], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...{ uid: NOBODY, gid: NOBODY },
  })
  const ended = once(nobody, 'exit').then(([code]) => [`exit ${code}`])
  const word = async () =>
    (await within(HANG_MS, 'nobody', Promise.race([once(nobody, 'message'), ended])))[0]
  assert.equal(await word(), 'listening')
  const sent = order('send', { host: HERE, port: PORT, bytes: payload.length })
  assert.deepEqual(await word(), {
    binding: { id: binding, ifindex, queues: [2, 3] },
    bind: 'NETMEM_DEVMEM_FORBIDDEN',
    prepare: 'NETMEM_DEVMEM_FORBIDDEN',
    rights: '0000000000000000',
    hash: hashOf(payload),
    device_bytes: payload.length,
    linear_bytes: 0,
  })
  assert.equal(await sent, 'closed')
  await within(HANG_MS, 'nobody ends', ended)

  assert.match(notes, /eth\d+ prepared, 2 rules\n {2}queue 2: interrupt \d+ on processors \d/)
  root.kill('SIGKILL')
  await killed
  await within(HANG_MS, 'the kernel unbinds', unbound())
  const left = await settings(netlink)
  assert.deepEqual([left.split, left.rules.length], ['enabled', 2])
  assert.match(await cli('devmem', 'undo', card), /settings restored/)
  assert.deepEqual(await settings(netlink), before)
}
