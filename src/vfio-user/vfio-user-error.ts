/** Errors of a connection to QEMU. */

import { NetmemError } from '../errors.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_VFIO_USER_PROTOCOL: 'VfioUserError'
    NETMEM_VFIO_USER_VERSION: 'VfioUserError'
    NETMEM_VFIO_USER_MEMORY: 'VfioUserError'
    NETMEM_VFIO_USER_IOMMU: 'VfioUserError'
    NETMEM_VFIO_USER_ACCEPT: 'VfioUserError'
  }
}

/** A machine that cannot have the device, or not yet, or that breaks the vfio-user protocol. */
export class VfioUserError extends NetmemError<'VfioUserError'> {}
