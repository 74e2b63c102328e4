/** Limits and settings that bound a fast receiver. */

import { readText } from '../../linux/read-text.ts'
import { exactSize } from '../size.ts'
import { Feature, type Finding, finder, processLimit } from './finding.ts'

const linux = finder(Feature.linux)
const net = finder(Feature.net)

export function limitFindings(): Finding[] {
  return [openFiles(), hugePages(), tcpRmem(readText('/proc/sys/net/ipv4/tcp_rmem'))].filter(
    (finding) => finding !== undefined,
  )
}

function hugePages(): Finding | undefined {
  const path = '/sys/kernel/mm/transparent_hugepage/enabled'
  const text = readText(path)
  if (text === undefined) {
    if (process.platform !== 'linux') return undefined
    const remedy = 'Use a kernel that is built with CONFIG_TRANSPARENT_HUGEPAGE.'
    return linux.missing('transparent huge pages', 'not in this kernel', remedy)
  }
  const mode = /\[(\w+)\]/.exec(text)?.[1] ?? text
  return mode === 'never'
    ? linux.warn('transparent huge pages', mode, `As root: echo madvise > ${path}`)
    : linux.ok('transparent huge pages', mode)
}

/** The kernel's own default for the largest receive buffer (net/ipv4/tcp.c). */
const TCP_RMEM_DEFAULT = 6 * 2 ** 20

/**
 * Largest receive buffer that TCP may give a socket. A low-water mark is at most half of it.
 *
 * @param text Contents of net.ipv4.tcp_rmem, or undefined where there is none.
 */
export function tcpRmem(text: string | undefined): Finding | undefined {
  if (text === undefined) return undefined
  const most = Number(text.split(/\s+/)[2])
  const value = `up to ${exactSize(most)} per socket`
  return most >= TCP_RMEM_DEFAULT
    ? linux.ok('net.ipv4.tcp_rmem', value)
    : linux.warn(
        'net.ipv4.tcp_rmem',
        value,
        `As root: sysctl -w net.ipv4.tcp_rmem="4096 131072 ${2 ** 25}", for fast links that are long`,
      )
}

const FEW_FILES = 4_096

function openFiles(): Finding | undefined {
  const limit = processLimit('Max open files')
  if (limit === undefined) return undefined
  const value = `${limit}, each connection is one`
  return limit >= FEW_FILES
    ? net.ok('open files', value)
    : net.warn('open files', value, 'Before starting: ulimit -n 65536')
}
