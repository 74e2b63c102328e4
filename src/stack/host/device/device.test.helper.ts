/** Devices with stub NICs, for tests. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../../../errors.ts'
import { DeviceError, type Errno } from '../../device-error.ts'
import { type DeviceThread, type DeviceThreadOptions, openDeviceThread } from './device-thread.ts'
import { stubParts } from './stub-nic.test.helper.ts'

export const stubScript: URL = new URL('stub-device.test.worker.js', import.meta.url)

/** A device that runs by itself in a worker. */
export function openRunning(): Promise<DeviceThread> {
  return openDeviceThread({ script: stubScript })
}

/** Runs a test on a stepped device beside the stack, and on one in a worker. */
export function onDevices(
  name: string,
  body: (device: DeviceThread) => Promise<void>,
  running = false,
): void {
  const places: [string, DeviceThreadOptions][] = [
    ['inline', { inline: true, parts: stubParts }],
    ['in a worker', { script: stubScript, stepped: true }],
  ]
  if (running) places.push(['in a worker that runs by itself', { script: stubScript }])
  for (const [place, options] of places) {
    test(`${name} (${place})`, async () => {
      await using device = await openDeviceThread(options)
      await body(device)
    })
  }
}

/** `promise` rejects with a DeviceError of that code and errno. */
export async function rejects(
  promise: Promise<unknown>,
  code: ErrorCode,
  errno: Errno,
): Promise<void> {
  const error: unknown = await promise.then(
    () => assert.fail(`it does not reject with ${code}`),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof DeviceError, `${error}`)
  assert.deepEqual([error.code, error.errno], [code, errno])
  assert.match(error.message, /\.$/)
}

/** A frame of `length` bytes that can be told from others. */
export function frameOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + seed * 31) & 0xff)
}
