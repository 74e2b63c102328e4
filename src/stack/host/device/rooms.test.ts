// The device's code is loaded in the device's thread alone.
import assert from 'node:assert/strict'
import { Session } from 'node:inspector'
import { test } from 'node:test'

/** URLs of the scripts that this thread has loaded. */
function loadedScripts(): ReadonlySet<string> {
  const urls = new Set<string>()
  const session = new Session()
  session.connect()
  session.on('Debugger.scriptParsed', ({ params }) => urls.add(params.url))
  // The engine reports each script loaded so far before this call returns.
  session.post('Debugger.enable')
  session.disconnect()
  return urls
}

const deviceFolder = new URL('../../device/', import.meta.url).href

function deviceScripts(): string[] {
  return [...loadedScripts()].filter((url) => url.startsWith(deviceFolder))
}

test("the stack's thread loads none of the device's modules, even while a device runs", async () => {
  const { openDeviceThread, replay } = await import('../../index.ts')
  await using device = await openDeviceThread({ stepped: true })
  await device.openNic({ link: { kind: 'generator', totalBytes: 1000 } })
  assert.equal(await device.run(0), 1)
  assert.equal(typeof replay, 'function')
  assert.ok([...loadedScripts()].some((url) => url.endsWith('/host/device/device-thread.js')))
  assert.deepEqual(deviceScripts(), [])
  // An inline device is the exception, and shows that this test would see them.
  await import('../../testing/inline-device.test.helper.ts')
  assert.notDeepEqual(deviceScripts(), [])
})
