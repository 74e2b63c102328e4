// Receives into device memory by the kernel's devmem TCP. One text for kernel sockets and this: a frag in
// host memory has bytes, a frag in device memory has a place in the dma-buf.
//
//   node build/examples/devmem-receiver.js IFINDEX QUEUE…      as root, on a card that does devmem TCP
//
// One thread serves one queue best: start a worker for each, with a port of its own.
import { createPool, hostProvider } from 'netmem'
import { bindRx, createUdmabuf, listenDevmem, prepareQueues } from 'netmem/linux'

const PORT = 5201
const [ifindex = 0, ...queues] = process.argv.slice(2).map(Number)

const flows = [{ type: 'tcp4', destinationPort: PORT }] as const
await using prepared = await prepareQueues({ ifindex, queues, flows })
using dmabuf = createUdmabuf({ bytes: 16 * 2 ** 20 })
using binding = await bindRx({ ifindex, queues, dmabuf })
// Payload that arrives with its headers, or before the flow is steered.
const pool = createPool(hostProvider({ pages: 64 }))
await using listener = await listenDevmem({ pool, binding, port: PORT })
console.log(`listening on ${listener.address.port}, ${prepared.rules.length} rules`)

const connection = await listener.accept()
if (connection !== undefined) {
  for await (const frag of connection) {
    // A GPU would take binding, offset and length here. Release the frag when it is done.
    if (frag.kind === 'net_iov') console.log(`${frag.length} bytes at ${frag.offset}`)
    else console.log(`${frag.length} bytes in a page`)
    frag.release()
  }
  console.log(`queue ${await connection.queue()}`, connection.stats())
  await connection.close()
}
await pool.destroy()
