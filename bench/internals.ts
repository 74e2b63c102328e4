/**
 * Parts of netmem that are not of the package's interface, and that its figures need: the driver model,
 * and the NIC without a thread. They are found where the build puts them.
 */

// Types of the build, since the compiler must not rewrite the names of another project's files.
import type { DriverModel as Model } from '../dist/gvnic/testing/driver-model.test.helper.js'
import type { DmaSpace as Space } from '../dist/stack/device/dma-space.js'
import type { NetworkCard as Card } from '../dist/stack/device/nic/network-card.js'

async function internal<T>(path: string): Promise<T> {
  return await import(new URL(`../../dist/${path}`, import.meta.url).href)
}

export type DriverModel = Model
export const DriverModel: typeof Model = (
  await internal<{ readonly DriverModel: typeof Model }>(
    'gvnic/testing/driver-model.test.helper.js',
  )
).DriverModel
export const DmaSpace: typeof Space = (
  await internal<{ readonly DmaSpace: typeof Space }>('stack/device/dma-space.js')
).DmaSpace
export const NetworkCard: typeof Card = (
  await internal<{ readonly NetworkCard: typeof Card }>('stack/device/nic/network-card.js')
).NetworkCard
