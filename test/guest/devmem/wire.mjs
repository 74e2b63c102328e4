// Two wired cards, one of which is in the namespace of a peer, and orders for that peer.
import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { HANG_MS, within } from './waiting.mjs'

/** Runs ip(8). */
export const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
/** Path of an interface's device. */
export const device = (name) => `/sys/class/net/${name}/device`
const isCard = (name) => {
  try {
    return readlinkSync(`${device(name)}/driver`).endsWith('/gve')
  } catch {
    return false
  }
}
export const [card, other] = readdirSync('/sys/class/net').filter(isCard).sort()
export const HERE = '192.0.2.1'
export const THERE = '192.0.2.2'
export const HERE_IPV6 = 'fd00::1'
export const THERE_IPV6 = 'fd00::2'
export const ifindex = Number(readFileSync(`/sys/class/net/${card}/ifindex`, 'utf8'))
ip('netns', 'add', 'peer')
ip('link', 'set', other, 'netns', 'peer')
ip('-n', 'peer', 'addr', 'add', `${THERE}/24`, 'dev', other)
ip('-n', 'peer', 'addr', 'add', `${THERE_IPV6}/64`, 'dev', other, 'nodad')
ip('-n', 'peer', 'link', 'set', other, 'up')
ip('addr', 'add', `${HERE}/24`, 'dev', card)
ip('addr', 'add', `${HERE_IPV6}/64`, 'dev', card, 'nodad')
ip('link', 'set', card, 'up')

// The other end of the wire.
export const peer = spawn('ip', ['netns', 'exec', 'peer', process.execPath, 'peer.mjs'], {
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
})
const answers = new Map()
peer.on('message', ({ id, answer }) => {
  answers.get(id)?.(answer)
  answers.delete(id)
})
let orders = 0
/** Has the peer do something, and resolves with its answer. */
export function order(name, parts = {}) {
  const id = ++orders
  const answered = new Promise((resolve) => answers.set(id, resolve))
  peer.send({ id, order: name, ...parts })
  const inTime = within(HANG_MS, `the peer's ${name}`, answered)
  // A step that fails before it awaits the answer has told enough.
  inTime.catch(() => {})
  return inTime
}
/** Resolves when the peer listens on a port. */
export const listening = (port) =>
  new Promise((resolve) => answers.set(`listening ${port}`, resolve))
