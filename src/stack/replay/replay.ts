/**
 * Replays a capture file through the whole stack: link, NIC, driver, skbs, flows. Both directions
 * of every flow are ordered, and hashed where their bytes landed.
 */

import { access, constants, stat } from 'node:fs/promises'
import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises'
import {
  ArgumentTypeError,
  checkInteger,
  checkOneOf,
  type OptionNames,
  ownOptions,
} from '../../errors.ts'
import type { DeviceError } from '../device-error.ts'
import { openDeviceThread } from '../host/device/device-thread.ts'
import type { Nic } from '../host/device/nic.ts'
import type { FaultOptions } from '../link/fate.ts'
import { HostView } from './host-view.ts'
import { ReplayFlows } from './replay-flows.ts'
import { openReplayMemory, type ReplayMemory } from './replay-memory.ts'
import { makeReport, type ReplayReport } from './replay-report.ts'
import { HostHash } from './stream-hash.ts'

/** Options of {@link replay}. */
export interface ReplayOptions {
  /** Memory that payload lands in. Pages by default. */
  readonly memory?: 'page' | 'device'
  /** RX queues that flows are spread over: 1 to 64. 1 by default. */
  readonly queues?: number
  /** True, the default, if the NIC splits headers from payload. Device memory needs it. */
  readonly headerSplit?: boolean
  /** True, the default, if the NIC verifies checksums. */
  readonly verifyChecksums?: boolean
  /** Faults on the way from the file to the NIC. */
  readonly faults?: FaultOptions
  /**
   * Path of a pcapng file that gets the packets as the host sees them. Each has its queue and hash,
   * the time it was seen, and a completed checksum. Payload in device memory is left out.
   */
  readonly out?: string
  /** Ends the replay early. The report covers the packets until then. */
  readonly signal?: AbortSignal
  /** Called now and then with the bytes of all packets so far. */
  readonly onProgress?: (bytes: number) => void
}

const NAMES: OptionNames<ReplayOptions> = {
  memory: true,
  queues: true,
  headerSplit: true,
  verifyChecksums: true,
  faults: true,
  out: true,
  signal: true,
  onProgress: true,
}

/**
 * Rounds without packets before it sleeps. Packets that arrive until the next round fill a fraction of a ring.
 */
const IDLE_ROUNDS = 64
const IDLE_MS = 1
/**
 * Milliseconds after which a queue without buffers gets no more: packets that wait for missing segments
 * hold them.
 */
const DRY_MS = 100
/** Limit of a pause of the link, in ms. A replay can wait, and a dropped frame leaves a gap. */
const PAUSE_LIMIT_MS = 60_000
const MAX_QUEUES = 64

/**
 * Replays a pcap or pcapng file, as fast as the stack takes it.
 *
 * Errors are rejections. If a file cannot be read or written, it is the system's own error.
 *
 * @throws NETMEM_CAPTURE_INVALID for a file that is no capture or contradicts itself.
 * @throws NETMEM_BIND_HEADER_SPLIT for device memory without header split.
 * @throws NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT for wrong options.
 */
export async function replay(path: string, options: ReplayOptions = {}): Promise<ReplayReport> {
  const own = ownOptions('replay()', options, NAMES)
  const {
    memory = 'page',
    queues = 1,
    headerSplit = true,
    verifyChecksums = true,
    faults,
    out,
  } = own
  checkOneOf('memory', memory, ['page', 'device'])
  checkInteger('queues', queues, 1, MAX_QUEUES)
  checkOneOf('headerSplit', headerSplit, [true, false])
  checkOneOf('verifyChecksums', verifyChecksums, [true, false])
  await checkFiles(path, out)
  await using device = await openDeviceThread()
  device.ref()
  const nic = await device.openNic({
    queues,
    link: { kind: 'capture', path, ...(faults === undefined ? {} : { faults }) },
    settings: { pause: true, pauseLimitMs: PAUSE_LIMIT_MS, verifyChecksums },
    up: false,
  })
  let bytes = 0
  let view: HostView | undefined
  const flows = new ReplayFlows(
    () => opened.hashing?.make() ?? new HostHash(),
    headerSplit,
    (skb, layout) => view?.write(skb, layout),
  )
  const opened = await openReplayMemory(device, nic, {
    memory,
    queues,
    headerSplit,
    // Merged packets are not frames that a host has sent.
    coalesce: out === undefined,
    deliver: (skb) => {
      bytes += skb.headLength + skb.dataLength
      flows.receive(skb)
    },
  })
  try {
    using written = out === undefined ? undefined : new HostView(out)
    view = written
    const beganMs = performance.now()
    await nic.up()
    const complete = await receiveAll(nic, opened, flows, own.signal, () => {
      written?.check()
      own.onProgress?.(bytes)
    })
    const reports = await flows.finish()
    const seconds = (performance.now() - beganMs) / 1000
    return makeReport(nic, opened.driver, flows, { seconds, complete, flows: reports })
  } finally {
    flows.abandon()
    opened.hashing?.abandon()
    await opened.close()
  }
}

/**
 * Receives until no packet comes any more, and calls `onPackets` after each batch. Resolves with true if
 * that was the whole capture.
 */
async function receiveAll(
  nic: Nic,
  { driver, hashing }: ReplayMemory,
  flows: ReplayFlows,
  signal: AbortSignal | undefined,
  onPackets: () => void,
): Promise<boolean> {
  const end: { isOver: boolean; failure: DeviceError | undefined } = {
    isOver: false,
    failure: undefined,
  }
  void nic.ended.then((failure) => {
    end.isOver = true
    end.failure = failure
  })
  let idle = 0
  let drySinceMs: number | undefined
  let stopped = false
  for (;;) {
    if (signal?.aborted === true && !stopped) {
      stopped = true
      await nic.down()
    }
    if (driver.poll() > 0) {
      idle = 0
      drySinceMs = undefined
      onPackets()
      await nextRound()
      continue
    }
    if (end.failure !== undefined) throw end.failure
    if (end.isOver || stopped) return end.isOver
    // Packets must not wait for memory that waits to be hashed.
    hashing?.flush()
    if (!nic.paused || hashing?.busy === true) drySinceMs = undefined
    else {
      const nowMs = performance.now()
      drySinceMs ??= nowMs
      if (nowMs - drySinceMs >= DRY_MS) {
        flows.giveUp()
        drySinceMs = undefined
      }
    }
    if (++idle < IDLE_ROUNDS) await nextRound()
    else await sleep(IDLE_MS)
  }
}

/** Checks that the capture can be read, and is not the file to be written. */
async function checkFiles(path: string, out: string | undefined): Promise<void> {
  await access(path, constants.R_OK)
  if (out === undefined) return
  const { dev, ino } = await stat(path)
  const there = await stat(out).catch(() => undefined)
  if (there?.dev !== dev || there.ino !== ino) return
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `${out} is the capture itself, which would be written over. Write to another file.`,
  )
}
