/**
 * The loop of the device's thread. It answers calls, gives the NICs their turns, and sleeps on
 * the doorbell until the next frame is due.
 *
 * The thread does not return to its event loop before it ends, so its code is synchronous.
 */

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { DeviceError } from '../device-error.ts'
import type { CallMessage, DeviceMessage, DeviceThreadData } from '../rings/control.ts'
import { describeFailure } from '../rings/device-failure.ts'
import { sleepUntilWork, workSeen } from '../rings/doorbell.ts'
import type { DeviceParts } from './device-parts.ts'
import { Sleeper } from './sleeper.ts'
import { VirtualDevice } from './virtual-device.ts'

/** Delay in ms before a due frame is offered again that its NIC had no room for. */
const RETRY_MS = 1

/** Runs a device of `parts` in this worker until it is closed. */
export function runDevice(parts: DeviceParts): void {
  const { doorbell, stepped }: DeviceThreadData = workerData
  if (parentPort === null) {
    throw new DeviceError(
      'NETMEM_DEVICE_CLOSED',
      'ENODEV',
      'The device runs in a worker thread alone.',
    )
  }
  const port = parentPort
  const host = new VirtualDevice(parts, stepped, (event) => {
    const frames = event.kind === 'transmitted' ? event.frames : []
    say(
      port,
      event,
      frames.map(({ buffer }) => buffer),
    )
  })
  try {
    loop(port, host, new Int32Array(doorbell), stepped)
  } catch (error) {
    say(port, { kind: 'died', failure: describeFailure(error) })
  }
}

function loop(
  port: MessagePort,
  host: VirtualDevice,
  doorbell: Int32Array,
  stepped: boolean,
): void {
  const beganMs = performance.now()
  const { nics } = host
  const sleeper = new Sleeper(doorbell)
  let handled: number | undefined
  while (!host.isClosed) {
    const seen = workSeen(doorbell)
    const nowNs = stepped ? 0 : Math.floor((performance.now() - beganMs) * 1e6)
    // A caller rings after it has posted a call: without a ring there is no call.
    if (seen !== handled) {
      handled = seen
      nics.advanceTo(nowNs)
      handleAll(port, host)
      if (host.isClosed) return
    }
    if (stepped) {
      sleepUntilWork(doorbell, seen, Number.POSITIVE_INFINITY)
      continue
    }
    if (nics.poll(nowNs) > 0) continue
    const waitMs = (nics.nextAtNs() - nowNs) / 1e6
    sleeper.sleep(seen, waitMs > 0 ? waitMs : RETRY_MS, nics.descriptors())
  }
}

function handleAll(port: MessagePort, host: VirtualDevice): void {
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    const { id, name, args }: CallMessage = next.message
    try {
      const reply = host.handle(name, args)
      say(port, { kind: 'reply', id, reply }, reply instanceof Uint8Array ? [reply.buffer] : [])
    } catch (error) {
      say(port, { kind: 'failure', id, failure: describeFailure(error) })
    }
    if (host.isClosed) return
  }
}

function say(
  port: MessagePort,
  message: DeviceMessage,
  transfer: readonly ArrayBufferLike[] = [],
): void {
  // Shared memory is not transferred.
  const buffers = transfer.filter((buffer) => buffer instanceof ArrayBuffer)
  port.postMessage(message, buffers)
}
