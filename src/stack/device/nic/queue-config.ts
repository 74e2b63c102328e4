/** Checks of the arguments that start a queue. */

import { checkInteger } from '../../../errors.ts'
import { DeviceError } from '../../device-error.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import type { PostedBuffer, RxFrontEnd } from '../../rings/rx-front-end.ts'

/**
 * Checks a config, which comes from another thread as plain data that no compiler has checked.
 *
 * @throws as `startQueue`.
 */
export function checkConfig(frontEnd: RxFrontEnd, config: RxQueueConfig): void {
  const { split } = config
  if (split !== 'off' && split !== 'headers' && split !== 'fill') {
    throw configError(`split is 'off', 'headers' or 'fill', not ${String(split)}.`)
  }
  if (typeof config.boundToDevice !== 'boolean' || typeof config.coalesce !== 'boolean') {
    throw configError('boundToDevice and coalesce are booleans. Pass both.')
  }
  if (config.splitUdp !== undefined && typeof config.splitUdp !== 'boolean') {
    throw configError('splitUdp is a boolean. Leave it out to split UDP, too.')
  }
  checkInteger('splitThresholdBytes', config.splitThresholdBytes, 0, 0xffff)
  if (split === 'off') {
    if (!config.boundToDevice) return
    throw new DeviceError(
      'NETMEM_BIND_HEADER_SPLIT',
      'EINVAL',
      'A queue whose buffers are device memory needs header split: the host has to read the headers.',
    )
  }
  const header: PostedBuffer = { id: -1, region: -1, offset: 0, bytes: 0 }
  frontEnd.headerBuffer(header)
  if (header.region < 0) {
    throw configError('Header split needs header buffers. Make the rings with some.')
  }
}

export function configError(message: string): DeviceError {
  return new DeviceError('NETMEM_NIC_CONFIG', 'EINVAL', message)
}

/** @throws NETMEM_NIC_CONFIG for an unknown queue. */
export function queueAt<Q>(queues: readonly Q[], queue: number, direction: string): Q {
  const found = queues[queue]
  if (found !== undefined) return found
  throw configError(
    `There is no ${direction} queue ${queue}; this NIC has 0 to ${queues.length - 1}.`,
  )
}

export function queueBusy(direction: string, queue: number): DeviceError {
  return new DeviceError(
    'NETMEM_NIC_BUSY',
    'EBUSY',
    `The ${direction} queue ${queue} is started. Stop it first.`,
  )
}
