// The client against a kernel that is played: faults that the real one shows rarely.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { parseMessages } from '../../wire/netlink.ts'
import { AttributeWriter } from '../../wire/netlink-attributes.ts'
import {
  acknowledge,
  DUMP_INTERRUPTED,
  datagram,
  done,
  FakeKernel,
  fakeNetlink,
  reply,
  wrapTransport,
} from './fake-kernel.test.helper.ts'
import { netdev } from './generated/netdev.ts'
import { Netlink } from './netlink.ts'

const words = (text: string) => {
  const writer = new AttributeWriter()
  writer.put(1, Buffer.from(`${text}\0`))
  return writer.bytes()
}

describe('a request', () => {
  it('is answered by the reply with its number, and by no other', async () => {
    const { netlink } = fakeNetlink(({ sequence }) => [
      datagram(reply(sequence + 1, 'dev', { ifindex: 9 }), reply(0, 'dev', { ifindex: 8 })),
      datagram(reply(sequence, 'dev', { ifindex: 3 })),
      datagram(acknowledge(sequence - 1, 22), acknowledge(sequence)),
    ])
    using _ = netlink
    assert.deepEqual(await netlink.do(netdev, 'dev-get', { ifindex: 3 }), { ifindex: 3 })
  })

  it('leases a queue, and reads leases, by the numbers of the kernel', async () => {
    const lease = { ifindex: 3, queue: { id: 5, type: 'rx' }, 'netns-id': 7 } as const
    const { netlink, kernels } = fakeNetlink(({ sequence }) => [
      datagram(
        reply(sequence, 'queue', { id: 1, ifindex: 9, type: 'rx', lease }),
        acknowledge(sequence),
      ),
    ])
    using _ = netlink
    const request = { ifindex: 9, type: 'rx', lease: { ifindex: 3, queue: lease.queue } } as const
    const { id } = await netlink.do(netdev, 'queue-create', request)
    assert.equal(id, 1)
    // K: include/uapi/linux/netdev.h. The command is 16, the lease attribute 8 of the queue.
    const { payload } = kernels[0]?.requests[0] ?? {}
    assert.equal(
      Buffer.from(payload ?? []).toString('hex'),
      '10010000' +
        '0800020009000000' +
        '0800030000000000' +
        '20000880' +
        '0800010003000000' +
        '14000280' +
        '0800010005000000' +
        '0800030000000000',
    )
    const queue = await netlink.do(netdev, 'queue-get', { ifindex: 9, type: 'rx', id: 1 })
    assert.deepEqual(queue.lease, lease)
  })

  it('that is only acknowledged returns undefined', async () => {
    const { netlink } = fakeNetlink(({ sequence }) => [datagram(acknowledge(sequence))])
    using _ = netlink
    assert.equal(await netlink.do(netdev, 'napi-set', { id: 1 }), undefined)
  })

  it('that is refused rejects with the words and the errno of the kernel', async () => {
    const { netlink } = fakeNetlink(({ sequence }) => [
      datagram(acknowledge(sequence, 22, words('tcp-data-split is disabled'))),
    ])
    using _ = netlink
    await assert.rejects(netlink.do(netdev, 'bind-rx', { ifindex: 3, fd: 1 }), {
      name: 'NetlinkError',
      code: 'NETMEM_NETLINK_REFUSED',
      errno: 'EINVAL',
      kernelMessage: 'tcp-data-split is disabled',
      message: /^netdev bind-rx: tcp-data-split is disabled \(EINVAL\)\. /,
    })
  })

  it('whose reply is cut, lost, malformed or incomplete rejects, and the next one works', async () => {
    for (const [received, code] of [
      [{ kind: 'truncated', bytes: 70_000, room: 65_536 }, 'NETMEM_NETLINK_TRUNCATED'],
      [{ kind: 'overrun' }, 'NETMEM_NETLINK_OVERRUN'],
      [datagram(Uint8Array.of(1, 2, 3)), 'NETMEM_NETLINK_MALFORMED'],
    ] as const) {
      const { netlink } = fakeNetlink(({ sequence }, nth) => [
        ...(nth === 1 ? [received] : []),
        datagram(reply(sequence, 'dev', { ifindex: nth }), acknowledge(sequence)),
      ])
      using _ = netlink
      await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 1 }), { code })
      assert.deepEqual(await netlink.do(netdev, 'dev-get', { ifindex: 1 }), { ifindex: 2 })
    }
    const { netlink } = fakeNetlink(({ sequence }) => [
      datagram(reply(sequence, 'dev', { 'xdp-features': [] }), acknowledge(sequence)),
    ])
    using _ = netlink
    await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 1 }), {
      code: 'NETMEM_NETLINK_MALFORMED',
      message: /lacks ifindex/,
    })
  })

  it('whose answer is damaged resolves or rejects, and nothing else', async () => {
    const whole = (sequence: number) => {
      const pools = reply(sequence, 'page-pool', { id: 1, inflight: 9n, 'io-uring': {} })
      return [pools, pools, done(sequence, 22, 0, words('some words'))]
    }
    const change = fc.tuple(fc.nat({ max: 150 }), fc.nat({ max: 255 }))
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 4 }), async (changes) => {
        const { netlink } = fakeNetlink(({ sequence }) => {
          const answer = datagram(...whole(sequence))
          assert.ok(answer.kind === 'datagram')
          for (const [at, value] of changes) answer.bytes[at] = value
          return [answer, datagram(done(sequence))]
        })
        using _ = netlink
        const outcome = netlink.dump(netdev, 'page-pool-get')
        seen.add(
          await outcome.then(
            ({ replies }) => typeof replies,
            ({ code }) => code,
          ),
        )
      }),
      { numRuns: 500 },
    )
    // Damage may turn a message's type into NLMSG_OVERRUN.
    seen.delete('NETMEM_NETLINK_OVERRUN')
    const [malformed, refused] = ['NETMEM_NETLINK_MALFORMED', 'NETMEM_NETLINK_REFUSED']
    assert.deepEqual([...seen].sort(), [malformed, refused, 'object'])
  })

  it('keeps attributes that the tables do not have', async () => {
    const unknown = [{ type: 200, value: Uint8Array.of(1, 2) }]
    const { netlink } = fakeNetlink(({ sequence }) => [
      datagram(
        reply(sequence, 'dev', { ifindex: 1, 'unknown-attributes': unknown }),
        acknowledge(sequence),
      ),
    ])
    using _ = netlink
    const dev = await netlink.do(netdev, 'dev-get', { ifindex: 1 })
    assert.deepEqual(dev['unknown-attributes'], unknown)
  })

  it('that is given up is dropped when its reply comes', async () => {
    const { netlink, kernels } = fakeNetlink(({ sequence }, nth) =>
      nth === 1
        ? []
        : [
            datagram(reply(sequence - 1, 'dev', { ifindex: 1 }), acknowledge(sequence - 1)),
            datagram(reply(sequence, 'dev', { ifindex: nth }), acknowledge(sequence)),
          ],
    )
    using _ = netlink
    const reason = new Error('enough')
    const controller = new AbortController()
    const { signal } = controller
    const given = netlink.do(netdev, 'dev-get', { ifindex: 1 }, { signal })
    const next = netlink.do(netdev, 'dev-get', { ifindex: 2 })
    await turns()
    assert.equal(kernels[0]?.requests.length, 1, 'one request at a time')
    controller.abort(reason)
    await assert.rejects(given, { code: 'NETMEM_ABORTED', name: 'AbortError', cause: reason })
    assert.deepEqual(await next, { ifindex: 2 })
    await assert.rejects(netlink.do(netdev, 'dev-get', { ifindex: 3 }, { signal }), {
      code: 'NETMEM_ABORTED',
    })
    assert.equal(kernels[0]?.requests.length, 2, 'an aborted request is not sent')
  })

  it('waits for a reply that comes later, and ends when the client is closed', async () => {
    const { netlink, kernels } = fakeNetlink(() => [])
    const first = netlink.do(netdev, 'dev-get', { ifindex: 1 })
    const second = netlink.do(netdev, 'dev-get', { ifindex: 2 })
    await turns()
    const [kernel] = kernels
    const sequence = kernel?.requests[0]?.sequence ?? 0
    kernel?.push(datagram(reply(sequence, 'dev', { ifindex: 1 })))
    await turns()
    kernel?.push(datagram(acknowledge(sequence)))
    assert.deepEqual(await first, { ifindex: 1 })
    netlink.close()
    netlink.close()
    await assert.rejects(second, { code: 'NETMEM_NETLINK_CLOSED', name: 'LifetimeError' })
    await assert.rejects(netlink.dump(netdev, 'dev-get'), { code: 'NETMEM_NETLINK_CLOSED' })
    await assert.rejects(netlink.subscribe(netdev, 'mgmt'), { code: 'NETMEM_NETLINK_CLOSED' })
    assert.equal(kernel?.isClosed, true)
  })

  it('asks for a family again that the kernel did not have', async () => {
    const kernel = new FakeKernel(({ sequence }) => [
      datagram(reply(sequence, 'dev', { ifindex: 3 }), acknowledge(sequence)),
    ])
    let loaded = false
    const send = (message: Uint8Array): void => {
      const [request] = parseMessages(message.slice())
      if (loaded || request === undefined) kernel.send(message)
      else kernel.push(datagram(acknowledge(request.sequence, 2)))
    }
    using netlink = new Netlink({ open: () => wrapTransport(kernel, { send }), close: () => {} })
    const request = { ifindex: 3 }
    await assert.rejects(netlink.do(netdev, 'dev-get', request), {
      code: 'NETMEM_NETLINK_NO_FAMILY',
    })
    loaded = true
    assert.deepEqual(await netlink.do(netdev, 'dev-get', request), request)
  })

  it('with a wrong name is a mistake of the caller', async () => {
    const { netlink } = fakeNetlink(() => [])
    using _ = netlink
    const wrong = { code: 'NETMEM_INVALID_ARGUMENT' }
    await assert.rejects(netlink.do(netdev, 'toString' as 'dev-get', {}), wrong)
    await assert.rejects(netlink.do(netdev, 'dev-get', { index: 1 } as object), wrong)
    await assert.rejects(netlink.subscribe(netdev, 'nosuch'), wrong)
  })
})

describe('a dump', () => {
  it('collects its parts over datagrams, however many', async () => {
    const { netlink } = fakeNetlink(({ sequence }) => [
      ...Array.from({ length: 100 }, (_, at) =>
        datagram(
          reply(sequence, 'dev', { ifindex: 2 * at + 1 }),
          reply(sequence, 'dev', { ifindex: 2 * at + 2 }),
        ),
      ),
      datagram(done(sequence)),
    ])
    using _ = netlink
    const { replies, interrupted } = await netlink.dump(netdev, 'dev-get')
    assert.deepEqual(
      replies.map(({ ifindex }) => ifindex),
      Array.from({ length: 200 }, (_, at) => at + 1),
    )
    assert.equal(interrupted, false)
  })

  it('that is interrupted is repeated until it is not', async () => {
    for (const where of ['reply', 'done'] as const) {
      const { netlink, kernels } = fakeNetlink(({ sequence }, nth) => {
        const flags = nth < 3 ? DUMP_INTERRUPTED : 0
        return [
          datagram(
            reply(sequence, 'dev', { ifindex: nth }, { flags: where === 'reply' ? flags : 2 }),
          ),
          datagram(done(sequence, 0, where === 'done' ? flags : 0)),
        ]
      })
      using _ = netlink
      assert.deepEqual(await netlink.dump(netdev, 'dev-get'), {
        replies: [{ ifindex: 3 }],
        interrupted: false,
      })
      assert.equal(kernels[0]?.requests.length, 3)
    }
  })

  it('that is always interrupted resolves with its data after five repetitions', async () => {
    const { netlink, kernels } = fakeNetlink(({ sequence }, nth) => [
      datagram(reply(sequence, 'dev', { ifindex: nth }), done(sequence, 0, DUMP_INTERRUPTED)),
    ])
    using _ = netlink
    assert.deepEqual(await netlink.dump(netdev, 'dev-get'), {
      replies: [{ ifindex: 6 }],
      interrupted: true,
    })
    assert.equal(kernels[0]?.requests.length, 6)
  })

  it('that fails says so at its end, with the words of the kernel', async () => {
    const { netlink } = fakeNetlink(({ sequence }) => [
      datagram(reply(sequence, 'dev', { ifindex: 1 }), done(sequence, 95, 0, words('no stats'))),
    ])
    using _ = netlink
    await assert.rejects(netlink.dump(netdev, 'dev-get'), {
      code: 'NETMEM_NETLINK_REFUSED',
      errno: 'EOPNOTSUPP',
      kernelMessage: 'no stats',
    })
  })

  it('that is given up in the middle is read to its end before the next request', async () => {
    const controller = new AbortController()
    const { netlink, kernels } = fakeNetlink(({ sequence }, nth) => {
      if (nth > 1) return [datagram(reply(sequence, 'dev', { ifindex: 7 }), done(sequence))]
      setImmediate(() => controller.abort())
      return Array.from({ length: 99 }, () => datagram(reply(sequence, 'dev', { ifindex: 1 })))
    })
    using _ = netlink
    const { signal } = controller
    await assert.rejects(netlink.dump(netdev, 'dev-get', {}, { signal }), {
      code: 'NETMEM_ABORTED',
    })
    const { replies } = await netlink.dump(netdev, 'dev-get')
    assert.deepEqual(replies, [{ ifindex: 7 }])
    assert.equal(kernels[0]?.receive(), undefined)
  })
})

describe('a subscription', () => {
  it('yields events and unknown messages, an overrun behind what the buffer held, and further events', async () => {
    const { netlink, kernels } = fakeNetlink(() => [])
    using _ = netlink
    const subscription = await netlink.subscribe(netdev, 'page-pool')
    const kernel = kernels[1]
    assert.ok(kernel !== undefined)
    assert.deepEqual(kernel.joined, [7], 'the number that the kernel gave the group')
    kernel.push(
      datagram(
        reply(0, 'page-pool', { id: 4 }, { command: 6 }),
        reply(0, 'page-pool', { id: 5 }, { command: 99 }),
      ),
      { kind: 'overrun' },
      datagram(reply(0, 'page-pool', { id: 4 }, { command: 7 })),
      { kind: 'overrun' },
    )
    const events: unknown[] = []
    for await (const event of subscription) {
      events.push(event.kind === 'unknown' ? { ...event, payload: event.payload.length } : event)
      if (events.length === 4) break
    }
    assert.deepEqual(events, [
      { kind: 'event', name: 'page-pool-add-ntf', message: { id: 4 } },
      { kind: 'unknown', command: 99, payload: 12 },
      { kind: 'event', name: 'page-pool-del-ntf', message: { id: 4 } },
      { kind: 'overrun' },
    ])
    // Leaving a loop keeps the subscription.
    kernel.push(datagram(reply(0, 'page-pool', { id: 8 }, { command: 8 })))
    for await (const event of subscription) {
      assert.deepEqual(event, { kind: 'event', name: 'page-pool-change-ntf', message: { id: 8 } })
      break
    }
    assert.equal(kernel.isClosed, false)
  })

  it('ends its loop when it is closed, or its client is', async () => {
    for (const which of ['subscription', 'client'] as const) {
      const { netlink, kernels } = fakeNetlink(() => [])
      const subscription = await netlink.subscribe(netdev, 'mgmt')
      const loop = (async () => {
        for await (const event of subscription) assert.fail(event.kind)
      })()
      await turns()
      if (which === 'client') netlink.close()
      else subscription.close()
      await loop
      assert.equal(kernels[1]?.isClosed, true)
      netlink.close()
    }
  })

  it('rejects a turn that brings a cut or malformed message', async () => {
    for (const [received, code] of [
      [{ kind: 'truncated', bytes: 70_000, room: 65_536 }, 'NETMEM_NETLINK_TRUNCATED'],
      [datagram(Uint8Array.of(1)), 'NETMEM_NETLINK_MALFORMED'],
    ] as const) {
      const { netlink, kernels } = fakeNetlink(() => [])
      using _ = netlink
      const subscription = await netlink.subscribe(netdev, 'mgmt')
      kernels[1]?.push(received)
      await assert.rejects(
        (async () => {
          for await (const event of subscription) assert.fail(event.kind)
        })(),
        { code },
      )
    }
  })
})
