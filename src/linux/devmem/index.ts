/** The kernel's devmem TCP: bindings of dma-bufs to network cards. */

export {
  type BindRxOptions,
  type BindTxOptions,
  bindRx,
  bindTx,
  type DevmemBinding,
} from './bind.ts'
export type { CardRule, QueueInterrupt } from './card-settings.ts'
export {
  type PrepareQueuesOptions,
  prepareQueues,
  type UndoQueuesOptions,
  undoQueues,
} from './prepare-queues.ts'
export type { PreparedQueue, PreparedQueues, QueueSetup } from './queue-setup.ts'
export * from './socket/index.ts'
export type { PreparedRule, SteeredFlow } from './steering.ts'
