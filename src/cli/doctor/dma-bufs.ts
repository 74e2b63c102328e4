/** Exporters of dma-bufs, and their limits. */

import { constants, existsSync } from 'node:fs'
import { dmaHeaps } from '../../linux/dma-buf/dma-heap.ts'
import { hugePages } from '../../linux/dma-buf/huge-pages.ts'

import { readText } from '../../linux/read-text.ts'
import { exactSize } from '../size.ts'
import { Feature, type Finding, finder, mayUse } from './finding.ts'

const { ok, warn, missing } = finder(Feature.dmaBuf)
const READ_AND_WRITE = constants.R_OK | constants.W_OK

export function dmaBufFindings(): Finding[] {
  if (process.platform !== 'linux') return []
  return [udmabuf(), ...udmabufLimits(), ...heapFindings(), hugePageFinding()]
}

function udmabuf(): Finding {
  const path = '/dev/udmabuf'
  if (mayUse(path, READ_AND_WRITE)) return ok('udmabuf', path)
  return existsSync(path)
    ? missing(
        'udmabuf',
        `${path} is not for this user`,
        "Run as root, or add the user to the file's group (kvm, on most systems).",
      )
    : missing(
        'udmabuf',
        `no ${path}`,
        'As root: modprobe udmabuf (CONFIG_UDMABUF). In a container: --device /dev/udmabuf',
      )
}

/**
 * Findings of the module's parameters. A kernel without them has no such limits.
 *
 * @param folder Folder of the parameters.
 */
export function udmabufLimits(folder = '/sys/module/udmabuf/parameters'): Finding[] {
  const size = readText(`${folder}/size_limit_mb`)
  const list = readText(`${folder}/list_limit`)
  const findings: Finding[] = []
  if (Number(size) === UNLIMITED_MIB) findings.push(ok('udmabuf size_limit_mb', 'unlimited'))
  else if (size !== undefined) {
    const value = `a udmabuf has at most ${exactSize(Number(size) * 2 ** 20)}`
    const remedy = `For more, as root: echo 1024 > ${folder}/size_limit_mb`
    findings.push(
      Number(size) > DEFAULT_LIMIT_MIB
        ? ok('udmabuf size_limit_mb', value)
        : warn('udmabuf size_limit_mb', value, remedy),
    )
  }
  if (list !== undefined) {
    findings.push(ok('udmabuf list_limit', `${list} pieces; netmem makes udmabufs of one`))
  }
  return findings
}

/** Defaults of older and newer kernels. K: drivers/dma-buf/udmabuf.c. */
const DEFAULT_LIMIT_MIB = 64
const UNLIMITED_MIB = 2 ** 31 - 1

function heapFindings(): Finding[] {
  const folder = '/dev/dma_heap'
  const names = dmaHeaps()
  if (names.length === 0) {
    const remedy =
      'Use a kernel that is built with CONFIG_DMABUF_HEAPS_SYSTEM. In a container: --device /dev/dma_heap/system'
    return [warn('dma heaps', `no ${folder}; they are for dmaHeapProvider`, remedy)]
  }
  return names.map((name) => {
    const label = `dma heap ${name}`
    const path = `${folder}/${name}`
    const remedy = `Run as root, or give the user access to ${path}.`
    return mayUse(path, READ_AND_WRITE)
      ? ok(label, path)
      : warn(label, `${path} is not for this user`, remedy)
  })
}

function hugePageFinding(): Finding {
  const { reserved, free } = hugePages()
  return reserved > 0
    ? ok('vm.nr_hugepages', `${reserved} of 2MiB, ${free} free`)
    : warn(
        'vm.nr_hugepages',
        'none is reserved; they are for udmabufProvider({ hugePages: true })',
        'As root: sysctl vm.nr_hugepages=64',
      )
}
