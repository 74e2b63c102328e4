/**
 * gVNIC, a network card in TypeScript for guests in QEMU: the card that Linux's own driver `gve` drives.
 * Such a guest can receive into device memory, and send out of it, without hardware. Needs Linux and
 * koffi, an optional dependency: `npm install koffi@3`.
 */

export { Gvnic, type GvnicOptions, type GvnicState } from './gvnic.ts'
export { openWiredCards, type WiredCards, type WiredCardsOptions } from './open-wired-cards.ts'
export type { CardLook } from './thread/messages.ts'
