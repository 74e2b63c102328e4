// Sums the memory it is sent, adds 1 to its first byte, and answers with the sum.
import { parentPort } from 'node:worker_threads'

parentPort?.on('message', (bytes: unknown) => {
  if (!(bytes instanceof Uint8Array)) return
  let sum = 0
  for (const byte of bytes) sum += byte
  bytes[0] = (bytes[0] ?? 0) + 1
  parentPort?.postMessage(sum)
})
