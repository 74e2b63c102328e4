// Sends out of device memory without an end, and says so. A test kills it.
const { checkout, ifindex, host, port } = JSON.parse(process.argv[2])
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const { bindTx, connectDevmem, createUdmabuf } = await import(`${checkout}/dist/linux/index.js`)

const BYTES = 2 ** 20
const dmabuf = createUdmabuf({ bytes: BYTES })
const binding = await bindTx({ ifindex, dmabuf })
const pool = createPool(hostProvider({ pages: 4 }))
const connection = await connectDevmem({ pool, binding, host, port })
await connection.sendDevice(binding, 0, BYTES)
process.send('sending')
for (;;) {
  await Promise.all([1, 2, 3, 4].map(() => connection.sendDevice(binding, 0, BYTES)))
}
