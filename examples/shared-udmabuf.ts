/**
 * Two processes, one memory. The first receives from the network into a page pool over a udmabuf. The
 * second has taken the udmabuf by descriptor, and hashes the bytes where the kernel put them.
 *
 *   node build/examples/shared-udmabuf.js [PORT]
 */

import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPool, type HostFrag } from 'netmem'
import { offerDmaBuf, receiveDmaBuf, udmabufProvider } from 'netmem/linux'
import { listen } from 'netmem/net'

/** Place of a payload in the udmabuf, a small payload itself, or the end. */
type Message =
  | { readonly offset: number; readonly length: number }
  | { readonly text: string }
  | 'end'

if (process.send === undefined) await receive(Number(process.argv[2] ?? 7006))
else await hash(process.argv[2] ?? '', process.send.bind(process))

/** Runs in the first process, which looks at no byte. */
async function receive(port: number): Promise<void> {
  const provider = udmabufProvider({ pages: 32, pageSize: 64 * 1024, shared: true })
  const pool = createPool(provider)
  const path = join(tmpdir(), `netmem-${process.pid}.sock`)
  await using offer = await offerDmaBuf({ path, dmabuf: provider.dmabuf })
  const child = fork(new URL(import.meta.url), [path])
  await once(child, 'message')
  console.log(`another process has the udmabuf: ${offer.taken}`)

  await using listener = await listen({ pool, port })
  console.log(`listening on port ${listener.address.port}`)
  const connection = await listener.accept()
  if (connection === undefined) return
  // The other process answers in order: it has read the first of these.
  const reading: HostFrag[] = []
  child.on('message', (message) => {
    if (message === 'read') reading.shift()?.release()
    else console.log(message)
  })
  for await (const frag of connection) {
    reading.push(frag)
    child.send(messageOf(frag))
  }
  child.send('end')
  await once(child, 'exit')
  await connection.close()
  await pool.destroy()
  provider.close()

  function messageOf({ bytes, length }: HostFrag): Message {
    const { shared } = provider
    // A small payload is a copy, so that it does not hold a page.
    if (bytes.buffer !== shared?.buffer) return { text: Buffer.from(bytes).toString('base64') }
    return { offset: bytes.byteOffset - shared.offset, length }
  }
}

/** Runs in the second process, which has neither the socket nor the pool. */
async function hash(path: string, answer: (message: string) => unknown): Promise<void> {
  const { dmabuf } = await receiveDmaBuf(path)
  const { bytes } = dmabuf.map()
  const sha256 = createHash('sha256')
  process.on('message', (message: Message) => {
    if (message === 'end') {
      answer(`sha256 ${sha256.digest('hex')}`)
      dmabuf.close()
      process.disconnect()
      return
    }
    if ('text' in message) sha256.update(Buffer.from(message.text, 'base64'))
    else sha256.update(bytes.subarray(message.offset, message.offset + message.length))
    answer('read')
  })
  answer('ready')
}
