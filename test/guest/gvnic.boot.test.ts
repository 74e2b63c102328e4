// Two cards of netmem, wired to each other, driven by the guest kernel's own gve. One of them is in a
// network namespace of the guest.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openWiredCards } from 'netmem/gvnic'
import { debianPackage } from './debian.ts'
import { runInGuest } from './guest.ts'

const BYTES = 8 << 20

/** Sends or receives `BYTES` bytes over TCP, and prints their digest. */
const TRANSFER = `
import { createHash } from 'node:crypto'
import net from 'node:net'
const [role, host] = process.argv.slice(2)
const hash = createHash('sha256')
const told = (bytes) => console.log(role, bytes, hash.digest('hex').slice(0, 16))
if (role === 'receiver') {
  let bytes = 0
  const server = net.createServer((socket) => {
    socket.on('data', (chunk) => { bytes += chunk.length; hash.update(chunk) })
    socket.on('end', () => { told(bytes); socket.end(); server.close() })
  })
  server.listen(5201, host, () => console.log('listening'))
} else {
  const chunk = Buffer.alloc(${BYTES}).map((_, at) => at * 7 + (at >> 8))
  hash.update(chunk)
  net.connect(5201, host).end(chunk).on('close', () => told(chunk.length))
}
`

/** Script of the guest. Each line of its output is checked, so it prints nothing else. */
const script = (busybox: string): string => `
set -e
cards=$(for card in /sys/class/net/*; do
  case "$(readlink "$card/device/driver")" in *gve) echo "\${card##*/}";; esac
done)
set -- $cards
ip netns add peer
ip link set "$2" netns peer
connect() {
  ip addr replace 192.0.2.1/24 dev "$1" && ip link set "$1" up
  ip addr replace fd00::1/64 dev "$1" nodad
}
connect "$1"
ip -n peer addr add 192.0.2.2/24 dev "$2"
ip -n peer link set "$2" up
ip -n peer addr add fd00::2/64 dev "$2" nodad
ping() { ${busybox} ping -c 3 -i 0.2 "$@" | grep -o '[0-9]* packets received'; }
until ${busybox} ping -c 1 -W 1 192.0.2.2 >/dev/null; do :; done
ping 192.0.2.2
ping -s 1400 192.0.2.2
ping fd00::2
transfer() {
  ip netns exec peer node transfer.mjs receiver "$1" >receiver &
  until grep -q listening receiver 2>/dev/null; do sleep 0.1; done
  node transfer.mjs sender "$1"
  wait
  tail -1 receiver
}
transfer 192.0.2.2
transfer fd00::2
for round in 1 2 3 4 5 6 7 8 9 10; do ip link set "$1" down; ip link set "$1" up; done
connect "$1"
until ${busybox} ping -c 1 -W 1 192.0.2.2 >/dev/null; do :; done
echo down and up
pci=$(basename "$(readlink "/sys/class/net/$1/device")")
echo "$pci" >/sys/bus/pci/drivers/gve/unbind
echo "$pci" >/sys/bus/pci/drivers/gve/bind
connect "$1"
until ${busybox} ping -c 1 -W 1 192.0.2.2 >/dev/null; do :; done
echo bound anew
`

describe('two wired cards', () => {
  it('carry pings and TCP between two network namespaces of a guest', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'netmem-gvnic-'))
    try {
      const sockets = [join(folder, 'a.sock'), join(folder, 'b.sock')]
      await using cards = await openWiredCards({ sockets, queues: 2 })
      const busybox = join(await debianPackage('busybox-static'), 'usr/bin/busybox')
      const { exitCode, output } = await runInGuest(script(busybox), {
        files: { 'transfer.mjs': TRANSFER },
        network: sockets.map((socket) => ({ kind: 'gvnic', socket })),
        timeoutMs: 150_000,
      })
      assert.equal(exitCode, 0, output)
      const lines = output.trim().split('\n')
      assert.deepEqual(lines.slice(0, 3), new Array(3).fill('3 packets received'))
      for (const at of [3, 5]) {
        assert.match(lines[at] ?? '', new RegExp(`^sender ${BYTES} `))
        assert.equal(lines[at]?.slice(7), lines[at + 1]?.slice(9))
      }
      assert.deepEqual(lines.slice(7), ['down and up', 'bound anew'])
      for (const { connected, state, stats } of await cards.look()) {
        assert.equal(connected, false)
        assert.deepEqual([state.commands.refused, state.commands.faults], [0, 0])
        const { rx_dma_faults, tx_dma_faults, rx_csum_bad, rx_packets } = stats.device
        assert.deepEqual([rx_dma_faults, tx_dma_faults, rx_csum_bad], [0, 0, 0])
        assert.ok(rx_packets > 20)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
