/**
 * Downloads a model into one SharedArrayBuffer of exactly its size. A worker reads it in place, so
 * the weights are in memory once.
 *
 *   node build/examples/model-downloader.js URL [SHA256]
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { getInto, type ResponseHead } from 'netmem/http'

if (isMainThread) await download(process.argv[2] ?? '', process.argv[3])
else read(workerData)

/** The main thread: gets the body, and looks at no byte of it. */
async function download(url: string, sha256?: string): Promise<void> {
  let model = new SharedArrayBuffer(0)
  let shown = 0
  const { bytes, timing } = await getInto(
    url,
    (_head: ResponseHead, length?: number) => {
      if (length === undefined) throw new Error('The server does not say how large it is.')
      model = new SharedArrayBuffer(length)
      return model
    },
    {
      connections: 4,
      sha256: sha256 ?? false,
      onProgress: (arrived) => {
        const percent = Math.floor((arrived / model.byteLength) * 10) * 10
        if (percent > shown) console.log(`${percent} %`)
        shown = percent
      },
    },
  )
  console.log(`${bytes} bytes in ${Math.round(timing.lastByteMs)} ms`)
  const worker = new Worker(new URL(import.meta.url), { workerData: model })
  worker.on('message', (said: string) => console.log(said))
}

/** The worker: sees the same memory, not a copy of it. */
function read(model: SharedArrayBuffer): void {
  let least = Number.POSITIVE_INFINITY
  let greatest = Number.NEGATIVE_INFINITY
  for (const weight of new Float32Array(model, 0, Math.floor(model.byteLength / 4))) {
    least = Math.min(least, weight)
    greatest = Math.max(greatest, weight)
  }
  parentPort?.postMessage(`weights of ${least} to ${greatest}`)
}
