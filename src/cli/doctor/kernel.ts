/**
 * Support for device memory in the kernel and its network cards (devmem TCP, io_uring). netmem
 * does not use them yet: see `linux/index.ts`.
 */

import { accessSync, constants, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import os from 'node:os'
import { basename } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { Feature, type Finding, finder, readText } from './finding.ts'

const { ok, warn, missing } = finder(Feature.later)

export function kernelFindings(): Finding[] {
  const kernel = ok('kernel', `${os.type()} ${os.release()}`)
  if (process.platform !== 'linux') {
    const remedy = 'None is needed: everything that netmem does works here.'
    return [kernel, missing('devmem TCP', 'not on this system', remedy)]
  }
  const config = readConfig()
  return [
    kernel,
    option(config, 'NET_DEVMEM', 'devmem TCP', [6, 12], 'receives into dma-bufs'),
    option(config, 'PAGE_POOL_STATS', 'page pool counters', [5, 18], 'of the kernel'),
    option(config, 'IO_URING_ZCRX', 'io_uring zero-copy receive', [6, 15], 'is built in'),
    ioUring(),
    udmabuf(config),
    ...networkCards(),
  ]
}

/** Returns the kernel's enabled build options, without CONFIG_; `undefined` if the kernel hides them. */
function readConfig(): ReadonlySet<string> | undefined {
  try {
    const text = existsSync('/proc/config.gz')
      ? gunzipSync(readFileSync('/proc/config.gz')).toString()
      : readFileSync(`/boot/config-${os.release()}`, 'utf8')
    return new Set(Array.from(text.matchAll(/^CONFIG_(\w+)=[ym]$/gm), ([, name = '']) => name))
  } catch {
    return undefined
  }
}

function option(
  config: ReadonlySet<string> | undefined,
  symbol: string,
  name: string,
  [major, minor]: readonly [number, number],
  what: string,
): Finding {
  if (config?.has(symbol) === true) return ok(name, `CONFIG_${symbol}: ${what}`)
  const remedy = `Use a kernel from ${major}.${minor} on that is built with CONFIG_${symbol}.`
  if (config !== undefined) return missing(name, `CONFIG_${symbol} is off`, remedy)
  const [hasMajor = 0, hasMinor = 0] = os.release().split('.').map(Number.parseFloat)
  const recent = hasMajor > major || (hasMajor === major && hasMinor >= minor)
  return recent
    ? warn(name, 'unknown: the kernel does not show how it was built', remedy)
    : missing(name, `the kernel is older than ${major}.${minor}`, remedy)
}

function ioUring(): Finding {
  const mode = readText('/proc/sys/kernel/io_uring_disabled')
  if (mode === '0') return ok('io_uring', 'allowed')
  return mode === undefined
    ? warn('io_uring', 'unknown: the kernel is older than 6.6, or has none', 'Use a newer kernel.')
    : missing(
        'io_uring',
        `kernel.io_uring_disabled is ${mode}`,
        'As root: sysctl -w kernel.io_uring_disabled=0',
      )
}

/** dma-bufs made of ordinary memory, to try devmem TCP without a GPU. */
function udmabuf(config: ReadonlySet<string> | undefined): Finding {
  const path = '/dev/udmabuf'
  if (existsSync(path)) {
    try {
      accessSync(path, constants.R_OK | constants.W_OK)
      return ok('udmabuf', path)
    } catch {
      return missing('udmabuf', `${path} is not for this user`, `As root: chmod a+rw ${path}`)
    }
  }
  return config?.has('UDMABUF') === true
    ? missing('udmabuf', `no ${path}`, 'As root: modprobe udmabuf')
    : missing('udmabuf', `no ${path}`, 'Use a kernel that is built with CONFIG_UDMABUF.')
}

/** Drivers that bind a dma-buf to their RX queues in some kernel up to 6.18. */
const DEVMEM_DRIVERS: readonly string[] = ['gve', 'bnxt_en', 'mlx5_core', 'fbnic']

function networkCards(): Finding[] {
  const folder = '/sys/class/net'
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => existsSync(`${folder}/${name}/device`))
    .map((name) => {
      const driver = driverOf(`${folder}/${name}/device`)
      const queues = readdirSync(`${folder}/${name}/queues`)
      const rx = queues.filter((queue) => queue.startsWith('rx-')).length
      const value = `driver ${driver}, RX queues: ${rx}`
      const label = `network card ${name}`
      if (!DEVMEM_DRIVERS.includes(driver)) {
        const remedy = `For devmem TCP use a card of one of these drivers: ${DEVMEM_DRIVERS.join(', ')}.`
        return missing(label, value, remedy)
      }
      return rx > 1
        ? ok(label, value)
        : warn(label, value, `A queue has to be set aside: ethtool -L ${name} combined 2`)
    })
}

function driverOf(device: string): string {
  try {
    return basename(readlinkSync(`${device}/driver`))
  } catch {
    return 'unknown'
  }
}
