// Makes dma-bufs until it is terminated.
import { parentPort } from 'node:worker_threads'
import { createUdmabuf } from './index.ts'

const kept = [createUdmabuf({ bytes: 4096 }), createUdmabuf({ bytes: 4096 })]
kept[0]?.map()
parentPort?.postMessage(kept.length)
for (;;) createUdmabuf({ bytes: 4096 }).close()
