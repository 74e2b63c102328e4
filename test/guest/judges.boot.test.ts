// The kernel's own tests of network cards, unmodified, over two cards of netmem that are wired to each
// other: `devmem.py` with the kernel's `ncdevmem`, and `csum.py`. Then ncdevmem and netmem to each other,
// and a client of io_uring's zero-copy receive.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openWiredCards } from 'netmem/gvnic'
import { debianClosure, debianPackage } from './debian.ts'
import { runInGuest } from './guest.ts'
import { compile, kernelTests } from './kernel-tests.ts'

/** Client of ours; this file runs in build/test/guest. */
const ZCRX_SOURCE = fileURLToPath(new URL('../../../test/guest/zcrx-receive.c', import.meta.url))

const PASSED = 'ok'

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
      const zcrx = join(folder, 'zcrx-receive')
      await compile(ZCRX_SOURCE, zcrx)
      const sockets = [join(folder, 'a.sock'), join(folder, 'b.sock')]
      await using cards = await openWiredCards({ sockets, queues: 4, mtu: 4148 })
      const { exitCode, output } = await runInGuest('. "$CHECKOUT/test/guest/judges.sh"', {
        files: { 'zcrx-receive': readFileSync(zcrx) },
        environment: {
          BUSYBOX: join(await debianPackage('busybox-static'), 'usr/bin/busybox'),
          ETHTOOL: await debianClosure('ethtool'),
          PYTHON: python,
          TESTS: tests,
        },
        network: sockets.map((socket) => ({ kind: 'gvnic', socket })),
        timeoutMs: 400_000,
      })
      assert.equal(exitCode, 0, output)
      assert.doesNotMatch(output.replaceAll(RIGHT_AFTER_ALL, ''), WRONG_DATA)
      assert.match(
        output,
        /^ncdevmem validated 16777216\nnetmem received 8388608\nio_uring received 16777216$/m,
      )
      const results = resultsOf(output)
      for (const [name, result] of Object.entries(results)) t.diagnostic(`${name}: ${result}`)
      assert.deepEqual(
        results,
        {
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
        },
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
      comment ?? (not === undefined ? PASSED : 'failed'),
    ]),
  )
}
