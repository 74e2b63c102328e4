import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import { rounds } from '../../testing/rounds.test.helper.ts'
import {
  acknowledge,
  datagram,
  type FakeKernel,
  fakeNetlink,
  reply,
} from '../netlink/fake-kernel.test.helper.ts'
import { netdev } from '../netlink/generated/netdev.ts'
import { NetlinkError } from '../netlink/netlink-error.ts'
import { openNetlink } from '../netlink/open-netlink.ts'
import { checkIfindex, type ErrnoName } from '../sys/index.ts'
import { anyDmaBuf } from './any-dma-buf.test.helper.ts'
import { type BindRxOptions, bindRx, bindRxOver, bindTx } from './bind.ts'
import { bindError } from './bind-error.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const rootSkip = skip === false && process.getuid?.() !== 0 ? 'needs root: run it with sudo' : skip
const NO_SUCH_INTERFACE = 999_999

function ifindexOf(name: string): number {
  return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'))
}

describe('Errors of bindings', { skip }, () => {
  const refusals: readonly [ErrnoName, string | undefined, string, (string | undefined)?][] = [
    ['ENODEV', undefined, 'NETMEM_DEVMEM_NO_INTERFACE'],
    ['EINVAL', 'tcp-data-split is disabled', 'NETMEM_DEVMEM_SPLIT_OFF'],
    ['EINVAL', 'hds-thresh is not zero', 'NETMEM_DEVMEM_SPLIT_THRESHOLD'],
    [
      'EINVAL',
      'dmabuf sg entry (addr=0x1000, len=100) not aligned to niov size 4096',
      'NETMEM_DEVMEM_UNALIGNED',
    ],
    ['EINVAL', 'TX dma-buf size must be a multiple of PAGE_SIZE', 'NETMEM_DEVMEM_UNALIGNED'],
    ['EINVAL', undefined, 'NETMEM_DEVMEM_QUEUE', 'queues.id'],
    ['EINVAL', 'Unknown attribute type', 'NETMEM_DEVMEM_PAGE_SIZE', 'rx-page-size'],
    ['ERANGE', 'rx queue index out of range', 'NETMEM_DEVMEM_QUEUE'],
    ['EOPNOTSUPP', 'device does not support: rx_page_size', 'NETMEM_DEVMEM_PAGE_SIZE'],
    [
      'EOPNOTSUPP',
      'DMA device mismatch between queue 1 and 0 (multi-PF device?)',
      'NETMEM_DEVMEM_MIXED_DEVICES',
    ],
    ['EOPNOTSUPP', 'rx queue belongs to a virtual netdev', 'NETMEM_DEVMEM_LEASED'],
    ['EOPNOTSUPP', "Device doesn't support DMA", 'NETMEM_DEVMEM_LEASED'],
    ['EOPNOTSUPP', 'Driver does not support netmem TX', 'NETMEM_DEVMEM_UNSUPPORTED'],
    ['EOPNOTSUPP', undefined, 'NETMEM_DEVMEM_UNSUPPORTED'],
    [
      'EEXIST',
      'unable to custom memory provider to device with XDP program attached',
      'NETMEM_DEVMEM_XDP',
    ],
    ['EEXIST', 'designated queue already memory provider bound', 'NETMEM_DEVMEM_BOUND'],
    ['EBUSY', 'designated queue already in use by AF_XDP', 'NETMEM_DEVMEM_XDP'],
    ['EBUSY', 'rx queue leased to a virtual netdev', 'NETMEM_DEVMEM_LEASED'],
    ['ENODATA', undefined, 'NETMEM_DEVMEM_IGNORED'],
    ['E2BIG', undefined, 'NETMEM_DEVMEM_ORDER'],
    ['EPERM', undefined, 'NETMEM_DEVMEM_FORBIDDEN'],
    ['ENETDOWN', undefined, 'NETMEM_DEVMEM_DOWN'],
    ['EBADF', undefined, 'NETMEM_NOT_A_DMABUF'],
    ['EINVAL', undefined, 'NETMEM_NOT_A_DMABUF'],
    ['EINVAL', 'something new', 'NETMEM_DEVMEM_FAILED'],
    ['ENOMEM', undefined, 'NETMEM_DEVMEM_FAILED'],
  ]
  for (const [errno, kernelMessage, wanted, attribute] of refusals) {
    it(`${errno} ${kernelMessage ?? ''} is ${wanted}`, () => {
      const cause = new NetlinkError('NETMEM_NETLINK_REFUSED', 'bind-rx', {
        errno,
        kernelMessage,
        attribute,
      })
      const error = bindError('bindRx()', checkIfindex(2), cause)
      assert.equal(error.code, wanted)
      assert.equal(error.errno, errno)
      assert.equal(error.cause, cause)
      // The message has the call, the kernel's words and a remedy.
      assert.match(error.message, /^bindRx\(\) on interface 2: \S.*\. \S.*\.$/s)
      assert.ok(error.message.includes(kernelMessage ?? errno), error.message)
    })
  }
})

describe('bindRx', { skip }, () => {
  const kernel = (answer: (sequence: number) => Uint8Array[]) =>
    fakeNetlink(({ sequence }) => [datagram(...answer(sequence))])
  const accepting = () =>
    kernel((sequence) => [
      reply(sequence, 'dmabuf', { id: 7 }, { flags: 0 }),
      acknowledge(sequence),
    ])

  it('returns the id of the kernel, and unbinds by closing its socket', async () => {
    const { netlink, kernels } = accepting()
    using dmabuf = anyDmaBuf()
    const options = { ifindex: 2, queues: [3, 1], dmabuf, rxPageSize: 16_384 }
    const binding = await bindRxOver(async () => netlink, options)
    options.queues.push(5)
    assert.deepEqual(
      [binding.id, binding.ifindex, binding.queues, binding.dmabuf],
      [7, 2, [3, 1], dmabuf],
    )
    assert.throws(() => dmabuf.claim('page'), failsWith('NETMEM_DMABUF_IN_USE'))
    assert.ok(kernels.every(isOpen))
    binding.close()
    binding.close()
    await binding.closed
    assert.ok(!kernels.some(isOpen))
    dmabuf.claim('page')()
  })

  it('outlives its dma-buf, in every order', async () => {
    for (const dmabufFirst of [true, false]) {
      const { netlink } = accepting()
      const dmabuf = anyDmaBuf()
      const binding = await bindRxOver(async () => netlink, { ifindex: 2, queues: [0], dmabuf })
      if (dmabufFirst) dmabuf.close()
      binding.close()
      dmabuf.close()
      await binding.closed
    }
  })

  it('leaves nothing behind when the kernel refuses', async () => {
    const { netlink, kernels } = kernel((sequence) => [acknowledge(sequence, 17)])
    using dmabuf = anyDmaBuf()
    const options = { ifindex: 2, queues: [0], dmabuf }
    await assert.rejects(
      bindRxOver(async () => netlink, options),
      failsWith('NETMEM_DEVMEM_BOUND'),
    )
    assert.ok(!kernels.some(isOpen))
    dmabuf.claim('page')()
  })

  it('says of a kernel that binds nothing that it is the kernel', async () => {
    // The kernel here has only other operations of the family.
    const { netlink, kernels } = kernel((sequence) => [acknowledge(sequence, 95)])
    using dmabuf = anyDmaBuf()
    await assert.rejects(
      bindRxOver(async () => netlink, { ifindex: 2, queues: [0], dmabuf }),
      failsWith('NETMEM_DEVMEM_KERNEL', /no such operation \(EOPNOTSUPP\)\. Linux 6\.12/),
    )
    assert.ok(!kernels.some(isOpen))
    dmabuf.claim('page')()
  })

  it('takes no memory that the host has as pages, or that is closed', async () => {
    const dmabuf = anyDmaBuf()
    const release = dmabuf.claim('page')
    const options = { ifindex: 1, queues: [0], dmabuf }
    await assert.rejects(bindRx(options), failsWith('NETMEM_DMABUF_IN_USE'))
    await assert.rejects(bindTx({ ifindex: 1, dmabuf }), failsWith('NETMEM_DMABUF_IN_USE'))
    const wrong = { ifindex: 1, dmabuf, netns: '' }
    await assert.rejects(bindTx(wrong), failsWith('NETMEM_INVALID_ARGUMENT', /netns/))
    release()
    dmabuf.close()
    await assert.rejects(bindRx(options), failsWith('NETMEM_DMABUF_CLOSED'))
  })

  const refused: readonly [string, Partial<Record<keyof BindRxOptions, unknown>>, string][] = [
    ['interface 0', { ifindex: 0 }, 'NETMEM_OUT_OF_RANGE'],
    ['a name', { ifindex: 'eth0' }, 'NETMEM_INVALID_ARGUMENT'],
    ['no queues', { queues: [] }, 'NETMEM_INVALID_ARGUMENT'],
    ['a queue below 0', { queues: [-1] }, 'NETMEM_OUT_OF_RANGE'],
    ['a queue twice', { queues: [1, 1] }, 'NETMEM_OUT_OF_RANGE'],
    ['a descriptor', { dmabuf: 5 }, 'NETMEM_INVALID_ARGUMENT'],
    ['pages of 5000', { rxPageSize: 5000 }, 'NETMEM_OUT_OF_RANGE'],
    ['pages of 1 KiB', { rxPageSize: 1024 }, 'NETMEM_OUT_OF_RANGE'],
    ['an unknown option', { rxPagesize: 4096 } as object, 'NETMEM_INVALID_ARGUMENT'],
  ]
  for (const [what, wrong, wanted] of refused) {
    it(`refuses ${what}`, async () => {
      using dmabuf = anyDmaBuf()
      const options = { ifindex: 1, queues: [0], dmabuf, ...wrong }
      await assert.rejects(bindRx(options as never), failsWith(wanted))
    })
  }
})

describe('The kernel', { skip: rootSkip }, () => {
  const cases: readonly [string, number, string][] = [
    ['lo', skip === false ? ifindexOf('lo') : 0, 'NETMEM_DEVMEM_UNSUPPORTED'],
    ['no interface', NO_SUCH_INTERFACE, 'NETMEM_DEVMEM_NO_INTERFACE'],
  ]
  for (const [what, ifindex, wanted] of cases) {
    it(`binds nothing to ${what}, and keeps nothing of the attempts`, async () => {
      using dmabuf = anyDmaBuf()
      const before = openDescriptors()
      for (let nth = 0; nth < rounds(50); nth++) {
        await assert.rejects(bindRx({ ifindex, queues: [0], dmabuf }), failsWith(wanted))
        await assert.rejects(bindTx({ ifindex, dmabuf }), failsWith(wanted))
      }
      await noneOpenSince(before)
      dmabuf.claim('page')()
    })
  }

  it('that has no rxPageSize says so, and one that has it asks the driver', async () => {
    using dmabuf = anyDmaBuf()
    using netlink = await openNetlink()
    const has = await netlink.supports(netdev, 'bind-rx', 'rx-page-size')
    await assert.rejects(
      bindRx({ ifindex: ifindexOf('lo'), queues: [0], dmabuf, rxPageSize: 16_384 }),
      failsWith(has ? 'NETMEM_DEVMEM_UNSUPPORTED' : 'NETMEM_DEVMEM_PAGE_SIZE', /leave it out|gve/),
    )
  })

  it('lets processes without rights bind to send, and not to receive', async () => {
    using dmabuf = anyDmaBuf()
    const ifindex = ifindexOf('lo')
    process.seteuid?.(65_534)
    try {
      await assert.rejects(
        bindRx({ ifindex, queues: [0], dmabuf }),
        failsWith('NETMEM_DEVMEM_FORBIDDEN', /netmem devmem prepare/),
      )
      await assert.rejects(bindTx({ ifindex, dmabuf }), failsWith('NETMEM_DEVMEM_UNSUPPORTED'))
    } finally {
      process.seteuid?.(0)
    }
  })
})

function isOpen(kernel: FakeKernel): boolean {
  return !kernel.isClosed
}
