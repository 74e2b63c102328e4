/** Description of the machine, without names of the machine or its user. */

import { cpus, loadavg, release, totalmem, type } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  /** The load of the last minute when the run was over: above the number of cores others were busy too. */
  readonly load: number
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release().replace(/-.*/, '')}`,
    node: process.version,
    load: Number(loadAverage()),
  }
}

export function loadAverage(): string {
  return (loadavg()[0] ?? 0).toFixed(1)
}
