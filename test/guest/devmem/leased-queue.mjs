// A queue of a card, leased to an interface in the namespace of a container that has no rights outside.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hashOf, payload } from './payload.mjs'
import { codeOf, HANG_MS, within } from './waiting.mjs'
import { HERE, ifindex, ip, order } from './wire.mjs'

const checkout = process.env.CHECKOUT
const { bindRx, netdev, prepareQueues, rtLink } = await import(`${checkout}/dist/linux/index.js`)

/**
 * Runs a program as the user nobody in user and network namespaces of its own. The guest's root directory is that
 * of a chroot(2), in which the kernel makes no user namespace (K: kernel/user_namespace.c, create_user_ns).
 */
const CONTAINED = [
  ...['--target', '1', '--root', '/bin/busybox', 'unshare', '--mount', '/bin/busybox', 'sh', '-c'],
  'cd /host && /bin/busybox mount -o move . / && exec /bin/busybox chroot . "$@"',
  // The host's programs, and not those of busybox.
  ...['sh', '/usr/bin/env', 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['unshare', '--user', '--map-root-user', '--net'],
]

async function gone(name) {
  while (readdirSync('/sys/class/net').includes(name)) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Lends queue 3 to a container, which binds it and receives. */
export async function receiveInContainer({ dmabuf, netlink }) {
  chmodSync('/dev/udmabuf', 0o666)
  const port = 5220
  const child = spawn(
    'nsenter',
    [...CONTAINED, process.execPath, '/run/netmem/files/contained.mjs'],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  )
  const exited = once(child, 'exit')
  const word = async () => {
    const ended = exited.then(([code]) => [`exit ${code}`])
    return (
      await within(HANG_MS, 'the container', Promise.race([once(child, 'message'), ended]))
    )[0]
  }
  assert.equal(await word(), 'here')
  const isIn = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  assert.match(isIn, /^Uid:\s+65534\s/m)
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
  const prepared = await prepareQueues({
    ifindex,
    queues: [3],
    flows: [{ type: 'tcp4', destinationPort: port }],
  })
  const before = readdirSync('/sys/class/net')
  const netkit = { kind: 'netkit', data: { mode: 'l3' } }
  const link = { ifname: 'nkhost', 'num-rx-queues': 2, linkinfo: netkit }
  await netlink.do(rtLink, 'newlink', link, { create: true })
  const lent = readdirSync('/sys/class/net').find((n) => n !== 'nkhost' && !before.includes(n))
  const lentIndex = Number(readFileSync(`/sys/class/net/${lent}/ifindex`, 'utf8'))
  const lease = { ifindex, queue: { id: 3, type: 'rx' } }
  const { id } = await netlink.do(netdev, 'queue-create', { ifindex: lentIndex, type: 'rx', lease })
  assert.equal(id, 1)
  ip('link', 'set', lent, 'netns', `${child.pid}`)
  ip('addr', 'add', '198.51.100.1/24', 'dev', 'nkhost')
  ip('link', 'set', 'nkhost', 'mtu', '4148', 'up')
  ip('-n', 'peer', 'route', 'add', '198.51.100.0/24', 'via', HERE)
  child.send({ checkout, address: '198.51.100.2', port })
  assert.equal(await word(), 'listening')
  // The queue is lent, so it cannot be bound here.
  assert.equal(await codeOf(bindRx({ ifindex, queues: [3], dmabuf })), 'NETMEM_DEVMEM_LEASED')
  const sent = order('send', { host: '198.51.100.2', port, bytes: payload.length })
  assert.deepEqual(await word(), {
    bound: 1,
    interfaces: false,
    hash: hashOf(payload),
    device_bytes: payload.length,
    linear_bytes: 0,
    uid: '0',
  })
  assert.equal(await sent, 'closed')
  await within(HANG_MS, 'the container ends', exited)
  // The pair goes with the namespace of one end.
  await within(HANG_MS, 'the pair goes', gone('nkhost'))
  await prepared.undo()
}
