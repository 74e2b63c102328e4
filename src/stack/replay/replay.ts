/**
 * Replays a capture file through the whole stack: link, NIC, driver, skbs, flows. Both directions
 * of every flow are ordered, and hashed where their bytes landed.
 */

import { access, constants, stat } from 'node:fs/promises'
import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises'
import { ArgumentTypeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import type { DeviceError } from '../device-error.ts'
import { openDeviceThread } from '../host/device/device-thread.ts'
import type { Nic } from '../host/device/nic.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import type { FaultOptions } from '../link/fate.ts'
import { HostView } from './host-view.ts'
import { ReplayFlows } from './replay-flows.ts'
import { openReplayMemory, type ReplayMemory } from './replay-memory.ts'
import { makeReport, type ReplayReport } from './replay-report.ts'

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
 * @throws NETMEM_CAPTURE_INVALID for a file that is no capture or contradicts itself,
 * NETMEM_BIND_HEADER_SPLIT for device memory without header split, NETMEM_OUT_OF_RANGE,
 * NETMEM_INVALID_ARGUMENT, and the system's own error for a file that cannot be read or written.
 */
export async function replay(path: string, options: ReplayOptions = {}): Promise<ReplayReport> {
  const own = ownOptions('replay()', options, NAMES)
  checkOptions(own)
  const { queues = 1, verifyChecksums = true, faults } = own
  await checkFiles(path, own.out)
  await using device = await openDeviceThread()
  device.ref()
  const nic = await device.openNic({
    queues,
    link: { kind: 'capture', path, ...(faults === undefined ? {} : { faults }) },
    settings: { pause: true, pauseLimitMs: PAUSE_LIMIT_MS, verifyChecksums },
    up: false,
  })
  return await new Replay(nic, own).run((deliver) =>
    openReplayMemory(device, nic, {
      memory: own.memory ?? 'page',
      queues,
      headerSplit: own.headerSplit ?? true,
      // Merged packets are not frames that a host has sent.
      coalesce: own.out === undefined,
      deliver,
    }),
  )
}

class Replay {
  readonly #nic: Nic
  readonly #options: ReplayOptions
  #bytes = 0
  /** True once no packet arrives any more. `#failure` is the reason, if there is one. */
  #over = false
  #failure: DeviceError | undefined

  constructor(nic: Nic, options: ReplayOptions) {
    this.#nic = nic
    this.#options = options
    void nic.ended.then((failure) => {
      this.#over = true
      this.#failure = failure
    })
  }

  async run(
    open: (deliver: (skb: AnySkb) => void) => Promise<ReplayMemory>,
  ): Promise<ReplayReport> {
    const { out, headerSplit = true } = this.#options
    let view: HostView | undefined
    const flows = new ReplayFlows(
      () => memory.makeHash(),
      headerSplit,
      (skb, layout) => {
        view?.write(skb, layout)
      },
    )
    const memory = await open((skb) => {
      this.#bytes += skb.headLength + skb.dataLength
      flows.receive(skb)
    })
    try {
      if (out !== undefined) view = new HostView(out)
      const beganMs = performance.now()
      await this.#nic.up()
      const complete = await this.#receive(memory, flows, view)
      const reports = await flows.finish()
      const seconds = (performance.now() - beganMs) / 1000
      const nic = this.#nic.stats().device
      const { truncated, otherLinkPackets } = this.#nic
      return makeReport(
        {
          seconds,
          complete,
          truncated,
          otherLinkPackets,
          cutPackets: flows.cut,
          uncheckedPackets: flows.uncheckedPackets,
          nic,
          flows: reports,
        },
        memory.stats(),
        flows.stats(),
      )
    } finally {
      flows.abandon()
      memory.abandon()
      try {
        await memory.close()
      } finally {
        view?.close()
      }
    }
  }

  /** Receives until no packet comes any more. Resolves with true if that was the whole capture. */
  async #receive(
    memory: ReplayMemory,
    flows: ReplayFlows,
    view: HostView | undefined,
  ): Promise<boolean> {
    const { signal, onProgress } = this.#options
    let idle = 0
    let drySinceMs: number | undefined
    let stopped = false
    for (;;) {
      if (signal?.aborted === true && !stopped) {
        stopped = true
        await this.#nic.down()
      }
      const packets = memory.poll()
      view?.check()
      if (packets > 0) {
        idle = 0
        drySinceMs = undefined
        onProgress?.(this.#bytes)
        await nextRound()
        continue
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#over || stopped) return this.#over
      // Packets must not wait for memory that waits to be hashed.
      memory.flush()
      if (!this.#nic.paused || memory.busy) drySinceMs = undefined
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
}

function checkOptions({ memory, queues, headerSplit, verifyChecksums }: ReplayOptions): void {
  if (memory !== undefined && memory !== 'page' && memory !== 'device') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `memory must be 'page' or 'device', not ${String(memory)}.`,
    )
  }
  for (const [name, value] of Object.entries({ headerSplit, verifyChecksums })) {
    if (value === undefined || typeof value === 'boolean') continue
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${name} must be true or false, not ${typeof value}.`,
    )
  }
  checkInteger('queues', queues ?? 1, 1, MAX_QUEUES)
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
