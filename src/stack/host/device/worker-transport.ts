/** A device in a worker thread. */

import { Worker } from 'node:worker_threads'
import { ArgumentTypeError } from '../../../errors.ts'
import { DeviceError } from '../../device-error.ts'
import type {
  CallArguments,
  CallMessage,
  CallName,
  CallReply,
  DeviceMessage,
  DeviceThreadData,
  NicEvent,
} from '../../rings/control.ts'
import { failureError } from '../../rings/device-failure.ts'
import { ringDoorbell, Waker } from '../../rings/doorbell.ts'

/** Ms after `close()` at which a device that has not ended is terminated. */
const CLOSE_MS = 5000

/**
 * Call without a reply yet. Its members are methods, whose parameters may be narrower: the reply to
 * a call is of its type.
 */
interface Pending {
  resolve(reply: unknown): void
  reject(error: Error): void
}

/** Connection of the stack to a device: calls, replies, and events of NICs. */
export type DeviceTransport = Pick<
  WorkerTransport,
  'call' | 'listen' | 'pollDescriptors' | 'hold' | 'release' | 'close' | 'closed'
>

export class WorkerTransport {
  /** Resolves when the device has ended, with the reason unless it was closed. */
  readonly closed: Promise<DeviceError | undefined>
  readonly #worker: Worker
  readonly #doorbell: Int32Array
  readonly #pending = new Map<number, Pending>()
  readonly #listeners = new Map<number, (event: NicEvent) => void>()
  /** Wakes the thread from poll(2), where it sleeps once it has descriptors to wait for. */
  #waker: Waker | undefined
  #nextId = 1
  /** Reasons to keep the process alive: pending calls, and calls of `hold`. */
  #holders = 0
  /** Reason of its end, once that is known. */
  #reason: string | undefined
  /** Error of further calls, once it is closed or has ended. */
  #over: DeviceError | undefined

  constructor(script: URL, data: DeviceThreadData) {
    this.#doorbell = new Int32Array(data.doorbell)
    // The thread gets none of the program's flags. They may preload modules, and some of them,
    // such as --input-type, keep a worker from starting.
    this.#worker = new Worker(script, { workerData: data, name: 'netmem device', execArgv: [] })
    this.#worker.unref()
    this.#worker.on('message', (message) => this.#take(message))
    this.#worker.on('error', (error) => {
      this.#reason ??= String(error)
    })
    this.closed = new Promise((resolve) => {
      this.#worker.once('exit', (status) => resolve(this.#end(status)))
    })
  }

  /**
   * Makes a call, whose arguments may give `transfer` away. Rejects with the device's own DeviceError,
   * NETMEM_DEVICE_CLOSED when it is closed or has died, NETMEM_INVALID_ARGUMENT for what cannot be cloned.
   */
  async call<K extends CallName>(
    name: K,
    args: CallArguments<K>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<CallReply<K>> {
    if (this.#over !== undefined) throw this.#over
    const id = this.#nextId++
    const message: CallMessage<K> = { id, name, args }
    try {
      this.#worker.postMessage(message, transfer)
    } catch (error) {
      throw new ArgumentTypeError(
        'NETMEM_INVALID_ARGUMENT',
        `What goes to the device must be plain data: ${error}.`,
      )
    }
    ringDoorbell(this.#doorbell)
    this.hold()
    return await new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }))
  }

  /** Calls `listener` for each event of a NIC. `undefined` removes it. */
  listen(nic: number, listener: ((event: NicEvent) => void) | undefined): void {
    if (listener === undefined) this.#listeners.delete(nic)
    else this.#listeners.set(nic, listener)
  }

  /**
   * Lets the device's thread sleep in poll(2), for links that have descriptors.
   *
   * @throws NETMEM_LINUX_UNAVAILABLE, NETMEM_SYSCALL_FAILED.
   */
  pollDescriptors(): void {
    if (this.#over === undefined) this.#waker ??= new Waker(this.#doorbell)
  }

  /** Keeps the process alive, as a pending call does, until {@link release}. */
  hold(): void {
    this.#holders++
    if (this.#holders === 1) this.#worker.ref()
  }

  /** Ends one {@link hold}. */
  release(): void {
    this.#holders--
    if (this.#holders === 0) this.#worker.unref()
  }

  /** Ends the device after the calls before. Resolves when it has ended. */
  async close(): Promise<void> {
    if (this.#over === undefined) {
      this.hold()
      const timer = setTimeout(() => void this.terminate(), CLOSE_MS)
      void this.closed.then(() => clearTimeout(timer))
      // The thread ends by this call, and does not always reply before.
      this.call('close', []).catch(() => {})
      this.#over = closedError()
    }
    await this.closed
  }

  /** @internal Terminates the thread wherever it is. */
  async terminate(): Promise<void> {
    this.#waker?.end()
    await this.#worker.terminate()
  }

  #take(message: DeviceMessage): void {
    switch (message.kind) {
      case 'reply':
        this.#settle(message.id)?.resolve(message.reply)
        break
      case 'failure':
        this.#settle(message.id)?.reject(failureError(message.failure))
        break
      case 'transmitted':
      case 'ended':
        this.#listeners.get(message.nic)?.(message)
        break
      case 'died':
        this.#reason = message.failure.message
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (this.#pending.delete(id)) this.release()
    return pending
  }

  #end(status: number): DeviceError | undefined {
    this.#waker?.close()
    // The thread may also die while it is closed.
    const closed = this.#reason === undefined ? this.#over : undefined
    const reason = this.#reason ?? `it exited with status ${status}`
    const over =
      closed ??
      new DeviceError(
        'NETMEM_DEVICE_CLOSED',
        'ENODEV',
        `The device thread has ended: ${reason}. Open another one.`,
      )
    this.#over = over
    for (const pending of this.#pending.values()) pending.reject(over)
    this.#pending.clear()
    return closed === undefined ? over : undefined
  }
}

/** Returns the error of every call after `close()`. */
export function closedError(): DeviceError {
  return new DeviceError(
    'NETMEM_DEVICE_CLOSED',
    'ENODEV',
    'The device thread is closed. Open another one.',
  )
}
