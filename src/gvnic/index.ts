/**
 * gVNIC, a network card in TypeScript for guests in QEMU: the card that Linux's own driver `gve` drives.
 * Such a guest can receive into device memory, and send out of it, without hardware. Needs Linux and
 * koffi, an optional dependency: `npm install koffi@3`.
 */

export type { CardServerOptions } from './card-options.ts'
export type { CardServer } from './card-thread.ts'
export { Gvnic, type GvnicOptions, type GvnicState, type RxQueueState } from './gvnic.ts'
export { type CardOptions, openCard } from './open-card.ts'
export { openWiredCards, type WiredCardsOptions } from './open-wired-cards.ts'
export type { CardLink, CardLook, LinkLook } from './thread/messages.ts'
