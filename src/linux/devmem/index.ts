/** The kernel's devmem TCP: bindings of dma-bufs to network cards. */

export {
  type BindRxOptions,
  type BindTxOptions,
  bindRx,
  bindTx,
  type DevmemBinding,
} from './bind.ts'
