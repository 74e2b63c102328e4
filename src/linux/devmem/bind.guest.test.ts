// Bindings on interfaces that only the guest has: virtio-net, and a veth that goes away.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isNetmemError } from '../../errors.ts'
import { noneOpenSince, openDescriptors } from '../../testing/descriptors.test.helper.ts'
import { createUdmabuf } from '../dma-buf/udmabuf.ts'
import { bindRx, bindTx } from './bind.ts'

function ifindexOf(name: string): number {
  return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'))
}

async function refusal(binding: Promise<unknown>): Promise<string> {
  try {
    await binding
  } catch (error) {
    assert.ok(isNetmemError(error), String(error))
    return error.code
  }
  return 'bound'
}

it('bindRx and bindTx say that virtio-net has no device memory', async () => {
  using dmabuf = createUdmabuf({ bytes: 2 ** 20 })
  const ifindex = ifindexOf('eth0')
  assert.equal(await refusal(bindRx({ ifindex, queues: [0], dmabuf })), 'NETMEM_DEVMEM_UNSUPPORTED')
  assert.equal(await refusal(bindTx({ ifindex, dmabuf })), 'NETMEM_DEVMEM_UNSUPPORTED')
})

it('bindRx survives an interface that goes away during the call', async () => {
  using dmabuf = createUdmabuf({ bytes: 2 ** 20 })
  const before = openDescriptors()
  for (let round = 0; round < 3; round++) {
    execFileSync('ip', ['link', 'add', 'nm0', 'type', 'veth', 'peer', 'name', 'nm1'])
    const ifindex = ifindexOf('nm0')
    const seen = new Set<string>()
    const removal = once(spawn('ip', ['link', 'del', 'nm0'], { stdio: 'inherit' }), 'exit')
    let left = 10_000
    while (!seen.has('NETMEM_DEVMEM_NO_INTERFACE') && left-- > 0) {
      seen.add(await refusal(bindRx({ ifindex, queues: [0], dmabuf })))
      seen.add(await refusal(bindTx({ ifindex, dmabuf })))
    }
    await removal
    seen.delete('NETMEM_DEVMEM_UNSUPPORTED')
    assert.deepEqual([...seen], ['NETMEM_DEVMEM_NO_INTERFACE'])
  }
  await noneOpenSince(before)
})

/** Answers of bindRx and bindTx on lo to a process that `program` starts. */
function answers(program: string, ...args: readonly string[]): string[] {
  const child = fileURLToPath(new URL('./bind.test.worker.js', import.meta.url))
  const all = [...args, process.execPath, child]
  return execFileSync(program, all, { encoding: 'utf8' }).trim().split('\n')
}

it('bindRx takes CAP_NET_ADMIN, and bindTx nothing', () => {
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups']
  assert.deepEqual(answers('setpriv', ...nobody), [
    'NETMEM_DEVMEM_FORBIDDEN',
    'NETMEM_DEVMEM_UNSUPPORTED',
  ])
  const able = [...nobody, '--inh-caps=+net_admin', '--ambient-caps=+net_admin']
  assert.deepEqual(answers('setpriv', ...able), [
    'NETMEM_DEVMEM_UNSUPPORTED',
    'NETMEM_DEVMEM_UNSUPPORTED',
  ])
})

/**
 * Arguments of nsenter that give a program a root directory that is none of chroot(2)'s: the guest's
 * is, and then the kernel makes no user namespace (K: kernel/user_namespace.c, create_user_ns).
 */
const OWN_ROOT = [
  ...['--target', '1', '--root', '/bin/busybox', 'unshare', '--mount', '/bin/busybox', 'sh', '-c'],
  'cd /host && /bin/busybox mount -o move . / && exec /bin/busybox chroot . "$@"',
  'sh',
]

it('bindRx takes the right in the user namespace that owns the network namespace', () => {
  const rootOfItsOwn = [...OWN_ROOT, 'unshare', '--user', '--map-root-user']
  assert.deepEqual(answers('nsenter', ...rootOfItsOwn), [
    'NETMEM_DEVMEM_FORBIDDEN',
    'NETMEM_DEVMEM_UNSUPPORTED',
  ])
  assert.deepEqual(answers('nsenter', ...rootOfItsOwn, '--net'), [
    'NETMEM_DEVMEM_UNSUPPORTED',
    'NETMEM_DEVMEM_UNSUPPORTED',
  ])
})
