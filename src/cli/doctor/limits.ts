/** Limits and settings that receiving a lot runs into. */

import { exactSize, roughSize } from '../size.ts'
import { type Finding, missing, ok, readText, warn } from './finding.ts'

export function limitFindings(): Finding[] {
  return [hugePages(), rmemMax(), tcpRmem(), openFiles(), lockedMemory()].filter(
    (finding) => finding !== undefined,
  )
}

function hugePages(): Finding | undefined {
  const path = '/sys/kernel/mm/transparent_hugepage/enabled'
  const text = readText(path)
  if (text === undefined) {
    if (process.platform !== 'linux') return undefined
    const remedy = 'Use a kernel that is built with CONFIG_TRANSPARENT_HUGEPAGE.'
    return missing('transparent huge pages', 'not in this kernel', remedy)
  }
  const mode = /\[(\w+)\]/.exec(text)?.[1] ?? text
  return mode === 'never'
    ? warn('transparent huge pages', mode, `As root: echo madvise > ${path}`)
    : ok('transparent huge pages', mode)
}

/** The kernel's own default for the largest receive buffer (net/ipv4/tcp.c). */
const TCP_RMEM_DEFAULT = 6 * 2 ** 20

/** How far TCP may grow a socket's receive buffer by itself. */
function tcpRmem(): Finding | undefined {
  const text = readText('/proc/sys/net/ipv4/tcp_rmem')
  if (text === undefined) return undefined
  const most = Number(text.split(/\s+/)[2])
  const value = `up to ${exactSize(most)} per socket`
  return most >= TCP_RMEM_DEFAULT
    ? ok('net.ipv4.tcp_rmem', value)
    : warn(
        'net.ipv4.tcp_rmem',
        value,
        `As root: sysctl -w net.ipv4.tcp_rmem="4096 131072 ${2 ** 25}", for fast links that are long`,
      )
}

/** What a socket may ask for. */
function rmemMax(): Finding | undefined {
  const text = readText('/proc/sys/net/core/rmem_max')
  if (text === undefined) return undefined
  const most = Number(text)
  const value = `a socket may ask for ${exactSize(most)}`
  return most >= 2 ** 20
    ? ok('net.core.rmem_max', value)
    : warn('net.core.rmem_max', value, `As root: sysctl -w net.core.rmem_max=${2 ** 22}`)
}

const FEW_FILES = 4_096

function openFiles(): Finding | undefined {
  const limit = processLimit('Max open files')
  if (limit === undefined) return undefined
  const value = `${limit}, each connection is one`
  return limit >= FEW_FILES
    ? ok('open files', value)
    : warn('open files', value, 'Before starting: ulimit -n 65536')
}

/** Registered io_uring buffers and locked pages count against it. */
function lockedMemory(): Finding | undefined {
  const limit = processLimit('Max locked memory')
  if (limit === undefined) return undefined
  const value = limit === Number.POSITIVE_INFINITY ? 'unlimited' : roughSize(limit)
  return limit >= 64 * 2 ** 20
    ? ok('locked memory', value)
    : warn('locked memory', value, 'Before starting: ulimit -l unlimited')
}

/** This process's soft limit, which Node.js has raised to the hard one where it could. */
function processLimit(name: string): number | undefined {
  const line = readText('/proc/self/limits')
    ?.split('\n')
    .find((each) => each.startsWith(name))
  const soft = line?.slice(name.length).trim().split(/\s+/)[0]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}
