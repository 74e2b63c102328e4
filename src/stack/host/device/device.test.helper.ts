/** Devices with stub NICs, for tests. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, isNetmemError } from '../../../errors.ts'
import { type DeviceErrno, DeviceError } from '../../device-error.ts'
import { createInlineDevice } from '../../testing/inline-device.test.helper.ts'
import { type DeviceThread, openDeviceThread } from './device-thread.ts'
import { stubParts } from './stub-nic.test.helper.ts'

export const stubScript: URL = new URL('stub-device.test.worker.js', import.meta.url)

/** A device that runs by itself in a worker. */
export function openRunning(): Promise<DeviceThread> {
  return openDeviceThread({ script: stubScript })
}

/** A stepped device in a worker. */
export function openStepped(): Promise<DeviceThread> {
  return openDeviceThread({ script: stubScript, stepped: true })
}

/** Runs a test on a stepped device beside the stack, and on one in a worker. */
export function onDevices(
  name: string,
  body: (device: DeviceThread) => Promise<void>,
  running = false,
): void {
  const places: [string, () => Promise<DeviceThread> | DeviceThread][] = [
    ['inline', () => createInlineDevice(stubParts)],
    ['in a worker', openStepped],
  ]
  if (running) places.push(['in a worker that runs by itself', openRunning])
  for (const [place, open] of places) {
    test(`${name} (${place})`, async () => {
      await using device = await open()
      await body(device)
    })
  }
}

/** `promise` rejects with that code: a DeviceError where it has an errno. */
export async function rejects(
  promise: Promise<unknown>,
  code: ErrorCode,
  errno?: DeviceErrno,
): Promise<void> {
  const error: unknown = await promise.then(
    () => assert.fail(`it does not reject with ${code}`),
    (reason: unknown) => reason,
  )
  assert.ok(isNetmemError(error), `${error}`)
  assert.equal(error.code, code)
  assert.equal(error instanceof DeviceError ? error.errno : undefined, errno)
  assert.match(error.message, /\.$/)
}

/** A frame of `length` bytes that can be told from others. */
export function frameOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + seed * 31) & 0xff)
}
