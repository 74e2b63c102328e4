// Tests netmem/linux against the kernel itself: /proc and sockets show the effect of each call.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { describe, it } from 'node:test'
import { isNetmemError } from '../errors.ts'
import { turns, until } from '../testing/waiting.test.helper.ts'
import { hugeMemory, wakeBatching } from './index.ts'
import { addressOf } from './sys/index.ts'

const MIB = 1024 * 1024
const thp = '/sys/kernel/mm/transparent_hugepage/enabled'
const skip = process.platform === 'linux' ? false : 'needs Linux'
const skipHuge = existsSync(thp) ? skip : 'this kernel has no transparent huge pages'

/** Returns the kernel's entry of the mapping that holds an address (proc_pid_smaps(5)). */
function mappingOf(address: bigint): { readonly flags: string; readonly hugeKiB: number } {
  let within = false
  let hugeKiB = 0
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (range !== null) {
      within = BigInt(`0x${range[1]}`) <= address && address < BigInt(`0x${range[2]}`)
    } else if (within && line.startsWith('AnonHugePages:')) {
      hugeKiB = Number.parseInt(line.slice(14), 10)
    } else if (within && line.startsWith('VmFlags:')) {
      return { flags: `${line.slice(8)} `, hugeKiB }
    }
  }
  return assert.fail('the address is not mapped')
}

describe('hugeMemory', { skip }, () => {
  for (const shared of [false, true]) {
    const kind = shared ? 'shared' : 'host'
    it(`is zeroed memory of the size asked for, at a huge page (${kind})`, async () => {
      for (const bytes of [0, 1, 2 * MIB - 1, 2 * MIB, 5 * MIB + 3]) {
        const memory = await (shared ? hugeMemory(bytes, { shared }) : hugeMemory(bytes))
        assert.equal(memory.byteLength, bytes)
        assert.equal(memory.buffer instanceof SharedArrayBuffer, shared)
        assert.ok(memory.every((byte) => byte === 0))
        if (bytes >= 2 * MIB) assert.equal(addressOf(memory) % (2 * MIB), 0)
        memory.fill(255)
      }
    })

    it(`has asked the kernel for huge pages (${kind})`, { skip: skipHuge }, async () => {
      const memory = await (shared ? hugeMemory(64 * MIB, { shared }) : hugeMemory(64 * MIB))
      assert.match(mappingOf(BigInt(addressOf(memory))).flags, / hg /, 'VmFlags')
    })
  }

  it('takes no memory before it is written to', async () => {
    const before = process.memoryUsage.rss()
    const memory = await hugeMemory(512 * MIB)
    assert.ok(process.memoryUsage.rss() - before < 64 * MIB)
    assert.equal(memory[0], 0)
  })

  it('refuses invalid sizes', async () => {
    for (const [bytes, code] of [
      [-1, 'NETMEM_OUT_OF_RANGE'],
      [1.5, 'NETMEM_OUT_OF_RANGE'],
      ['1', 'NETMEM_INVALID_ARGUMENT'],
    ] as const) {
      await assert.rejects(hugeMemory(bytes as number), (error) => {
        assert.ok(isNetmemError(error))
        return error.code === code
      })
    }
  })
})

describe('wakeBatching', { skip }, () => {
  it('keeps a socket from being read before there is as much', async () => {
    const set = await wakeBatching()
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(address !== null && typeof address === 'object')
    const socket = net.connect(address.port, '127.0.0.1')
    const [peer]: net.Socket[] = await once(server, 'connection')
    assert.ok(peer !== undefined)
    const handle: unknown = Reflect.get(socket, '_handle')
    assert.ok(typeof handle === 'object' && handle !== null)
    const fd = Number(Reflect.get(handle, 'fd'))
    let received = 0
    socket.on('data', (bytes) => {
      received += bytes.length
    })
    assert.equal(set(fd, 1000), true)
    peer.write(Buffer.alloc(999))
    await turns()
    assert.equal(received, 0, 'one byte is missing')
    peer.write(Buffer.alloc(1))
    await until(() => received >= 1000, 'all of it arrives')
    assert.equal(received, 1000)
    peer.write(Buffer.alloc(10))
    await turns()
    assert.equal(received, 1000, 'it stays')
    assert.equal(set(fd, 1), true)
    await until(() => received >= 1010, 'the rest arrives')
    assert.equal(received, 1010, 'what waited is reported at once')
    socket.destroy()
    peer.destroy()
    server.close()
  })

  it('says where there is no such socket', async () => {
    const set = await wakeBatching()
    assert.equal(set(-1, 1), false)
  })
})
