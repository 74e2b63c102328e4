// The kernel's own tests of network cards, unmodified, over two cards of netmem that are wired to each
// other. Then ncdevmem and netmem to each other, a client of io_uring's zero-copy receive, and programs
// that every user has.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openWiredCards } from 'netmem/gvnic'
import { debianClosure, debianPackage } from './debian.ts'
import { runInGuest } from './guest.ts'
import { compile, kernelTests } from './kernel-tests.ts'

/** Programs of ours in C. This file runs in build/test/guest. */
const PROGRAMS = ['zcrx-receive', 'socat'] as const
const sourceOf = (program: string): string =>
  fileURLToPath(new URL(`../../../test/guest/${program}.c`, import.meta.url))

const PASSED = 'ok'
const FAILED = 'failed'
const NO_THRESHOLD = 'SKIP hds-thresh not supported by device'
const NO_GRO_STATS = "SKIP Driver does not report 'rx-hw-gro-packets' via qstats"

/** Results of the kernel's tests, with the reason of each that is not passed. */
const RESULTS: Readonly<Record<string, string>> = {
  'devmem.check_rx': PASSED,
  'devmem.check_tx': PASSED,
  'devmem.check_tx_chunks': PASSED,
  'devmem.check_rx_hds': PASSED,
  // The driver knows pages of one size.
  'devmem.check_rx_large_niov': 'SKIP Test requires devmem rx-page-size=16384 support',
  ...Object.fromEntries(
    ['4', '6'].flatMap((version) =>
      [
        ...['rx_tcp', 'rx_tcp_invalid', 'rx_udp', 'rx_udp_invalid'],
        ...['tx_udp_csum_offload', 'tx_udp_zero_checksum'],
      ].map((name) => [`csum.ipv${version}_${name}`, PASSED]),
    ),
  ),
  'hds.get_hds': PASSED,
  'hds.set_hds_disable': PASSED,
  'hds.set_hds_enable': PASSED,
  // The driver has no threshold.
  'hds.get_hds_thresh': NO_THRESHOLD,
  'hds.set_hds_thresh_random': NO_THRESHOLD,
  'hds.set_hds_thresh_zero': 'SKIP ring-set not supported by the device',
  'hds.set_hds_thresh_max': NO_THRESHOLD,
  'hds.set_hds_thresh_gt': NO_THRESHOLD,
  // Cases that need a compiled BPF program: the guest has none.
  'hds.set_xdp': FAILED,
  'hds.ioctl_set_xdp': FAILED,
  'hds.enabled_set_xdp': PASSED,
  'hds.ioctl': PASSED,
  'hds.ioctl_enabled_set_xdp': PASSED,
  'queues.get_queues': PASSED,
  'queues.addremove_queues': PASSED,
  'queues.check_down': PASSED,
  'queues.check_xsk': PASSED,
  // The driver reports no such statistics.
  'gro_hw.test_gro_stats_single': NO_GRO_STATS,
  'gro_hw.test_gro_stats_full': NO_GRO_STATS,
  // The card ends its open packet with each turn, so that no packet waits: see README.md.
  'gro_hw.test_gro_order.4': FAILED,
  ...Object.fromEntries(
    ['', 'rss_', 'rps_'].flatMap((way) =>
      ['tcp', 'udp'].flatMap((protocol) =>
        ['4', '6'].map((version) => [`toeplitz.test.${way}${protocol}_ipv${version}`, PASSED]),
      ),
    ),
  ),
  'ring_reconfig.channels': PASSED,
  'ring_reconfig.ringparam': PASSED,
  'ring_reconfig.reconfig_tx_stall': 'SKIP device does not support combined channels',
}

/** The driver's warning about rings below its least, which `ring_reconfig.py` asks for. */
const RING_TOO_SMALL = /gve .*[Rr]equested descriptor count/

/** Output of the other programs. */
const SAID = [
  'ncdevmem validated 67108864',
  'netmem received 33554432',
  'tcpdump saw 100 packets, 0 lines of payload',
  'io_uring received 16777216',
  '3000 packets transmitted, 3000 received',
  '1000 packets transmitted, 1000 received',
  'down and up 100 times',
]

/** Four lines of 8 MiB, each of which ncdevmem sends by one call. */
const LINES = Buffer.concat(
  [1, 2, 3, 4].map((line) => {
    const bytes = Buffer.alloc(8 << 20, `line ${line} of eight MiB `)
    bytes.write('\n', bytes.length - 1)
    return bytes
  }),
)

/** Words of the tests about wrong data, for which no busy host is the reason: one is too many. */
const WRONG_DATA =
  /bad csum|good csum, while|should be 0xFFFF|Failed validation|steering error|LINEAR/

/**
 * Lines of csum.py about a packet whose checksum it could not make wrong. It inverts the right one, and
 * 0xffff is as right as 0: that happens to one packet in 65,536 (K: selftests/net/lib/csum.c). The case is
 * run again.
 */
const RIGHT_AFTER_ALL =
  /csum=0xffff verify=0x0\n.*pkt: good csum, while bad expected\n.*cmsg: expected bad csum.*$/gm

describe("the kernel's tests over two wired cards", () => {
  it('pass', async (t) => {
    const { folder: tests, python } = await kernelTests()
    const folder = mkdtempSync(join(tmpdir(), 'netmem-judges-'))
    try {
      const files: Record<string, Uint8Array> = { lines: LINES }
      for (const program of PROGRAMS) {
        await compile(sourceOf(program), join(folder, program))
        files[program] = readFileSync(join(folder, program))
      }
      const sockets = [join(folder, 'a.sock'), join(folder, 'b.sock')]
      await using cards = await openWiredCards({ sockets, queues: 4, mtu: 4148 })
      const { exitCode, output } = await runInGuest('. "$CHECKOUT/test/guest/judges.sh"', {
        files,
        environment: {
          BUSYBOX: join(await debianPackage('busybox-static'), 'usr/bin/busybox'),
          ETHTOOL: await debianClosure('ethtool'),
          PING: await debianClosure('iputils-ping'),
          TCPDUMP: await debianClosure('tcpdump'),
          SHA256: createHash('sha256').update(LINES).digest('hex'),
          PYTHON: python,
          TESTS: tests,
        },
        network: sockets.map((socket) => ({ kind: 'gvnic', socket })),
        processors: 4,
        expectedWarning: RING_TOO_SMALL,
        timeoutMs: 560_000,
      })
      assert.equal(exitCode, 0, output)
      assert.doesNotMatch(output.replaceAll(RIGHT_AFTER_ALL, ''), WRONG_DATA)
      const results = resultsOf(output)
      for (const [name, result] of Object.entries(results)) t.diagnostic(`${name}: ${result}`)
      for (const [, time = ''] of output.matchAll(/^# (.*: \d+ s)$/gm)) t.diagnostic(time)
      assert.deepEqual(results, RESULTS, output)
      assert.deepEqual(
        output.split('\n').filter((line) => SAID.includes(line)),
        SAID,
        output,
      )
      for (const { state, stats } of await cards.look()) {
        assert.deepEqual([state.commands.refused, state.commands.faults], [0, 0])
        const { rx_dma_faults, tx_dma_faults } = stats.device
        assert.deepEqual([rx_dma_faults, tx_dma_faults], [0, 0])
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

/** Returns the results of the Test Anything Protocol by the names of the cases. */
function resultsOf(output: string): Record<string, string> {
  const lines = output.matchAll(/^(not )?ok \d+ ([\w.]+)(?: # (.*))?$/gm)
  return Object.fromEntries(
    [...lines].map(([, not, name = '', comment]) => [
      name,
      comment ?? (not === undefined ? PASSED : FAILED),
    ]),
  )
}
