/**
 * Notifies connections and listeners when their interface has gone. The kernel does not notify a socket
 * that is bound to it. No packet comes any more, and a receiver would wait without end.
 */

import { netdev } from '../../netlink/generated/netdev.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { NetlinkError } from '../../netlink/netlink-error.ts'
import { openNetlink } from '../../netlink/open-netlink.ts'
import { type Ifindex, LinuxError } from '../../sys/index.ts'

/** Called once, when the interface has gone. */
type Gone = (error: LinuxError) => void

/** Interfaces that this thread watches, in its network namespace. */
const watched = new Map<Ifindex, Set<Gone>>()
/** Notifications of the kernel, while an interface is watched. */
let notifications: Notifications | undefined

/**
 * Calls `gone` when the interface leaves this network namespace. Where the kernel has no such notifications
 * it is never called. The watch does not keep the process alive.
 *
 * @returns A function that ends the watch.
 */
export function watchInterface(ifindex: Ifindex, gone: Gone): () => void {
  const callbacks = watched.get(ifindex) ?? new Set()
  // A new function, since the same one may be passed twice.
  const call: Gone = (error) => gone(error)
  callbacks.add(call)
  if (callbacks.size === 1) {
    watched.set(ifindex, callbacks)
    if (notifications === undefined) notifications = new Notifications()
    // The interface may have gone before the watch began.
    else void notifications.check(ifindex)
  }
  return () => {
    if (!callbacks.delete(call) || callbacks.size > 0) return
    watched.delete(ifindex)
    if (watched.size > 0) return
    notifications?.close()
    notifications = undefined
  }
}

/** The group `mgmt` of the family netdev, with a separate socket. */
class Notifications {
  #netlink: Netlink | undefined
  #closed = false

  constructor() {
    // A kernel without the family sends no notifications. Devmem TCP came later than both.
    this.#follow().catch(() => undefined)
  }

  async #follow(): Promise<void> {
    using netlink = await openNetlink()
    if (this.#closed) return
    this.#netlink = netlink
    const subscription = (await netlink.subscribe(netdev, 'mgmt')).unref()
    for (const ifindex of watched.keys()) void this.check(ifindex)
    for await (const event of subscription) {
      if (event.kind === 'overrun') for (const ifindex of watched.keys()) void this.check(ifindex)
      if (event.kind !== 'event' || event.name !== 'dev-del-ntf') continue
      for (const ifindex of watched.keys()) if (ifindex === event.message.ifindex) tell(ifindex)
    }
  }

  /** Asks the kernel if an interface is there. */
  async check(ifindex: Ifindex): Promise<void> {
    try {
      await this.#netlink?.do(netdev, 'dev-get', { ifindex })
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === 'ENODEV') tell(ifindex)
    }
  }

  close(): void {
    this.#closed = true
    this.#netlink?.close()
  }
}

function tell(ifindex: Ifindex): void {
  const error = new LinuxError(
    'NETMEM_DEVMEM_NO_INTERFACE',
    `Interface ${ifindex} has gone, and what was bound to it is unbound. Bind again when it is back, by its new number, and connect again.`,
    { errno: 'ENODEV' },
  )
  for (const gone of [...(watched.get(ifindex) ?? [])]) gone(error)
}
