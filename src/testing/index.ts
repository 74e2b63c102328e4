/**
 * Tests for memory providers and connections, your own included, and a device provider to test against.
 * Needs Node.js. `netmem` itself does not depend on it.
 *
 * @module
 */

export {
  type ConnectionConformanceOptions,
  connectionConformance,
} from './connection-conformance.ts'
export type { ConnectionEnds } from './connection-ends.ts'
export { type ConformanceOptions, providerConformance } from './provider-conformance.ts'
export { type DeviceLayout, testDeviceProvider } from './test-device-provider.ts'
