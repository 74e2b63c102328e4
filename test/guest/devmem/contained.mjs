// A process in namespaces of its own, without rights outside of them. It binds the queue that its
// interface was leased, and receives there.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { hashReceived } from './payload.mjs'

process.send('here')
const [{ checkout, address, port }] = await once(process, 'message')
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const linux = await import(`${checkout}/dist/linux/index.js`)
const { bindRx, createUdmabuf, listenDevmem, netdev, openNetlink, rtLink } = linux

const ip = (...args) => execFileSync('ip', args, { stdio: 'inherit' })
const netlink = await openNetlink()
const links = (await netlink.dump(rtLink, 'getlink')).replies
const { ifname, 'ifi-index': ifindex } = links.find(({ linkinfo }) => linkinfo?.kind === 'netkit')
ip('addr', 'add', `${address}/24`, 'dev', ifname)
ip('link', 'set', ifname, 'mtu', '4148', 'up')
ip('route', 'add', 'default', 'dev', ifname)

const dmabuf = createUdmabuf({ bytes: 8 * 2 ** 20 })
const memory = dmabuf.map().bytes
const binding = await bindRx({ ifindex, queues: [1], dmabuf })
const { replies: queues } = await netlink.dump(netdev, 'queue-get', { ifindex })
const pool = createPool(hostProvider({ pages: 16 }))
const listener = await listenDevmem({ pool, binding, host: address, port, strict: true })
process.send('listening')
const connection = await listener.accept()
const hash = await hashReceived(connection, memory)
const { device_bytes, linear_bytes } = connection.stats()
const [uid] = /^Uid:.*$/m.exec(readFileSync('/proc/self/status', 'utf8'))
process.send({
  bound: queues.filter((queue) => queue.dmabuf !== undefined).length,
  interfaces: readdirSync('/proc/sys/net/ipv4/conf').includes('eth0'),
  hash,
  device_bytes,
  linear_bytes,
  uid: uid.split(/\s+/)[1],
})
await connection.close()
await listener.close()
binding.close()
netlink.close()
process.disconnect()
