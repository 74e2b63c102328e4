// The kernel's socket: datagrams that are cut, forged or left by a thread that ends.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { buildMessage, genericHeader } from '../../wire/netlink.ts'
import { netdev, nlctrl } from '../index.ts'
import {
  AF_NETLINK,
  NETLINK_GENERIC,
  netlinkAddress,
  SOCK_RAW,
  SocketMessage,
  socket,
} from '../sys/index.ts'
import { wrapTransport } from './fake-kernel.test.helper.ts'
import { Netlink } from './netlink.ts'
import { openNetlinkSocket } from './socket.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const rootSkip = skip === false && process.getuid?.() !== 0 ? 'needs root: run it with sudo' : skip

/** Ports of the sockets of generic netlink in this network namespace. */
const ports = () =>
  readFileSync('/proc/self/net/netlink', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, protocol]) => protocol === String(NETLINK_GENERIC))
    .map(([, , port]) => Number(port))

describe('the socket', { skip }, () => {
  it('tells of a datagram that was cut, and the next request works', async () => {
    // The kernel's answer about a family has hundreds of bytes, a refusal less than 128.
    const open = (protocol: number) => openNetlinkSocket(protocol, undefined, 128)
    using netlink = new Netlink({ open, close: () => {} })
    await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 1 }), {
      code: 'NETMEM_NETLINK_TRUNCATED',
      message: /^nlctrl getfamily: a message of \d{3,} bytes was cut to 128\./,
    })
    await assert.rejects(netlink.family({ ...netdev, name: 'nosuch' }), {
      code: 'NETMEM_NETLINK_NO_FAMILY',
    })
  })

  it('lets a dump that was given up half-way end, so that the kernel takes the next', async () => {
    const given = new AbortController()
    let datagrams = 0
    const open = (protocol: number) => {
      const transport = openNetlinkSocket(protocol, undefined)
      return wrapTransport(transport, {
        receive: () => {
          datagrams += 1
          if (datagrams === 1) given.abort()
          return transport.receive()
        },
      })
    }
    using netlink = new Netlink({ open, close: () => {} })
    const request = { 'family-name': 'ethtool' }
    await assert.rejects(netlink.dump(nlctrl, 'getpolicy', request, { signal: given.signal }), {
      code: 'NETMEM_ABORTED',
    })
    const { replies } = await netlink.dump(nlctrl, 'getpolicy', request)
    assert.ok(replies.length > 10)
    assert.ok(datagrams > 4, 'of several datagrams')
  })

  it('has a receive buffer of the size that was asked for, without rights too', () => {
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.('nobody')
    try {
      openNetlinkSocket(NETLINK_GENERIC, 4096).close()
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })

  it('drops what other processes send', { skip: rootSkip }, () => {
    const before = ports()
    const ours = openNetlinkSocket(NETLINK_GENERIC, undefined)
    const [port = 0] = ports().filter((one) => !before.includes(one))
    using theirs = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)
    const forged = new SocketMessage({ nameBytes: 12 })
    forged.name.set(netlinkAddress(port))
    forged.setBytes(0, buildMessage(20, 0, 1, genericHeader(1, 1)))
    assert.equal(forged.send(theirs.fd), 20)
    assert.equal(ours.receive(), undefined)
    ours.close()
    ours.close()
  })

  it('is closed with a worker that is terminated while it waits', async () => {
    const entry = new URL('../index.js', import.meta.url).href
    const before = openDescriptors()
    const worker = new Worker(
      `import('${entry}').then(async ({ netdev, openNetlink }) => {
        const netlink = await openNetlink()
        const subscription = await netlink.subscribe(netdev, 'mgmt')
        const next = subscription[Symbol.asyncIterator]().next()
        require('node:worker_threads').parentPort.postMessage('waiting')
        await next
      })`,
      { eval: true },
    )
    await once(worker, 'message')
    assert.ok(openDescriptors().length > before.length)
    await worker.terminate()
    await noneOpenSince(before)
  })
})
