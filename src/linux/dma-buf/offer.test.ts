import assert from 'node:assert/strict'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { failsWith } from '../../testing/fails-with.test.helper.ts'
import { until } from '../../testing/waiting.test.helper.ts'
import { anyDmaBuf } from '../devmem/any-dma-buf.test.helper.ts'
import {
  AF_UNIX,
  accept4,
  bind,
  controlSpace,
  listen,
  memfdCreate,
  type OwnedFd,
  SOCK_SEQPACKET,
  SocketMessage,
  socket,
  unixAddressOf,
} from '../sys/index.ts'
import { offerDmaBuf, receiveDmaBuf } from './index.ts'
import { sealedMemfd } from './udmabuf.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const rootSkip = skip === false && process.getuid?.() !== 0 ? 'needs root: run it with sudo' : skip
const folder = mkdtempSync(join(tmpdir(), 'netmem-offer-'))
after(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'offer.sock')

/** A socket whose peer sends the bytes of a test. */
function stranger(at: string): OwnedFd {
  const listener = socket(AF_UNIX, SOCK_SEQPACKET)
  bind(listener.fd, unixAddressOf(at))
  listen(listener.fd, 1)
  return listener
}

describe('offerDmaBuf', { skip }, () => {
  it('has a socket of the permissions that were asked for, and removes it', async () => {
    using dmabuf = anyDmaBuf()
    for (const [mode, wanted] of [
      [undefined, 0o600],
      [0o660, 0o660],
      [0o666, 0o666],
    ] as const) {
      const offer = await offerDmaBuf({ path, dmabuf, ...(mode === undefined ? {} : { mode }) })
      assert.equal(statSync(path).mode & 0o777, wanted)
      await offer.close()
      await offer.close()
      await offer.closed
      assert.equal(existsSync(path), false)
    }
  })

  it('lets one process offer at a path, and takes the place of one that has died', async () => {
    using dmabuf = anyDmaBuf()
    const offer = await offerDmaBuf({ path, dmabuf })
    await assert.rejects(offerDmaBuf({ path, dmabuf }), failsWith('NETMEM_SYSCALL_FAILED'))
    assert.ok(existsSync(path), 'the first one still has its socket')
    await offer.close()
    stranger(path).close()
    assert.ok(existsSync(path))
    await (await offerDmaBuf({ path, dmabuf })).close()
  })

  it('leaves an ordinary file at its path alone', async () => {
    using dmabuf = anyDmaBuf()
    writeFileSync(path, 'not a socket')
    await assert.rejects(offerDmaBuf({ path, dmabuf }), failsWith('NETMEM_SYSCALL_FAILED'))
    assert.equal(readFileSync(path, 'utf8'), 'not a socket')
    rmSync(path)
  })

  it('gives the same memory to many, and serves the others when some of them hang up', async () => {
    const before = openDescriptors()
    const dmabuf = anyDmaBuf()
    const offer = await offerDmaBuf({ path, dmabuf })
    // The offer has descriptors of its own.
    dmabuf.close()
    const taken = await Promise.allSettled(Array.from({ length: 20 }, () => receiveDmaBuf(path)))
    for (const result of taken) {
      if (result.status === 'fulfilled') result.value.dmabuf.close()
      // A machine without udmabuf offers a memfd, which is refused when it comes.
      else failsWith('NETMEM_NOT_A_DMABUF')(result.reason)
    }
    await until(() => offer.taken === 20, 'all have been served')
    await offer.close()
    await noneOpenSince(before)
  })

  it('refuses what it cannot offer, and leaves nothing', async () => {
    using dmabuf = anyDmaBuf()
    const before = openDescriptors()
    const long = join(folder, 'x'.repeat(108))
    await assert.rejects(offerDmaBuf({ path: long, dmabuf }), failsWith('NETMEM_OUT_OF_RANGE'))
    const nowhere = join(folder, 'none', 'x')
    await assert.rejects(offerDmaBuf({ path: nowhere, dmabuf }), failsWith('NETMEM_SYSCALL_FAILED'))
    await assert.rejects(offerDmaBuf({ path, dmabuf, mode: -1 }), failsWith('NETMEM_OUT_OF_RANGE'))
    const closed = anyDmaBuf()
    closed.close()
    await assert.rejects(offerDmaBuf({ path, dmabuf: closed }), failsWith('NETMEM_DMABUF_CLOSED'))
    await noneOpenSince(before)
    assert.deepEqual(readdirSync(folder), [])
  })
})

describe('receiveDmaBuf', { skip }, () => {
  it('says where no dma-buf is offered', async () => {
    await assert.rejects(receiveDmaBuf(path), failsWith('NETMEM_DMABUF_NOT_OFFERED'))
    stranger(path).close()
    await assert.rejects(receiveDmaBuf(path), failsWith('NETMEM_DMABUF_NOT_OFFERED'))
    rmSync(path)
  })

  it('says who may take one', { skip: rootSkip }, async () => {
    using dmabuf = anyDmaBuf()
    const offer = await offerDmaBuf({ path, dmabuf })
    process.seteuid?.(65_534)
    try {
      await assert.rejects(receiveDmaBuf(path), failsWith('NETMEM_DMABUF_NOT_OFFERED'))
    } finally {
      process.seteuid?.(0)
    }
    await offer.close()
  })

  const messages: readonly [string, string, () => OwnedFd[], string][] = [
    ['nothing', '', () => [], 'NETMEM_DMABUF_OFFER_ENDED'],
    ['no descriptor', '{}', () => [], 'NETMEM_NOT_A_DMABUF'],
    ['a file', '{}', () => [memfdCreate('x', 0)], 'NETMEM_NOT_A_DMABUF'],
    [
      'three of them',
      'no JSON',
      () => [sealedMemfd(4096, false), memfdCreate('x', 0), memfdCreate('x', 0)],
      'NETMEM_NOT_A_DMABUF',
    ],
  ]
  for (const [what, text, make, wanted] of messages) {
    it(`refuses ${what}, and closes what came`, async () => {
      const before = openDescriptors()
      const listener = stranger(path)
      const received = receiveDmaBuf(path)
      const peer = accept4(listener.fd, 0)
      assert.ok(peer !== undefined)
      const given = make()
      if (text !== '') {
        const message = new SocketMessage({
          controlBytes: controlSpace(4 * Math.max(1, given.length)),
        })
        message.setBytes(0, new TextEncoder().encode(text))
        if (given.length > 0) message.setDescriptors(given.map(({ fd }) => fd))
        else message.controlLength = 0
        message.send(peer.fd)
      }
      peer.close()
      await assert.rejects(received, failsWith(wanted))
      for (const each of [...given, listener]) each.close()
      rmSync(path)
      await noneOpenSince(before)
    })
  }
})
