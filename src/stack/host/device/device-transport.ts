/** Connection of the stack to a device: calls, replies, and events of NICs. */

import type { DeviceError } from '../../device-error.ts'
import type { CallArguments, CallName, CallReply, NicEvent } from '../../rings/control.ts'

export interface DeviceTransport {
  /**
   * Calls the device.
   *
   * @param transfer memory that the arguments may give away.
   * @throws a DeviceError: the device's own, or NETMEM_DEVICE_CLOSED when it is closed or has died.
   */
  call<K extends CallName>(
    name: K,
    args: CallArguments<K>,
    transfer?: readonly ArrayBuffer[],
  ): Promise<CallReply<K>>
  /** Calls `listener` for each event of a NIC. `undefined` removes it. */
  listen(nic: number, listener: ((event: NicEvent) => void) | undefined): void
  /**
   * Lets the device's thread sleep in poll(2), for links that have descriptors.
   *
   * @throws NETMEM_LINUX_UNAVAILABLE, NETMEM_SYSCALL_FAILED.
   */
  pollDescriptors(): void
  /** Keeps the process alive, as a pending call does, until {@link release}. */
  hold(): void
  release(): void
  /** Ends the device after the calls before. Returns the same promise each time. */
  close(): Promise<void>
  /** Resolves when the device has ended, with the reason unless it was closed. */
  readonly closed: Promise<DeviceError | undefined>
}
