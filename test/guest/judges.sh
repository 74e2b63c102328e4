# Runs the kernel's own tests over two wired cards, in the guest of judges.boot.test.ts, and programs that
# every user has. Each part says how long it took. Reads BUSYBOX, CHECKOUT, PYTHON and TESTS (the kernel's
# selftests), ETHTOOL, PING and TCPDUMP (the folders of Debian's packages), and SHA256 (of the file `lines`).
set -e
files=$PWD

# Debian's programs take their own libraries by their own loader, not those of the host.
debian() {
  cat >"/run/$1" <<END_OF_PROGRAM
#!/bin/sh
exec $2/usr/lib64/ld-linux-x86-64.so.2 --library-path $2/usr/lib/x86_64-linux-gnu $2/usr/$3/$1 "\$@"
END_OF_PROGRAM
  chmod +x "/run/$1"
}
debian ethtool "$ETHTOOL" sbin
debian ping "$PING" bin
debian tcpdump "$TCPDUMP" bin
export PATH="/run:$PATH"

last=$(cut -d. -f1 /proc/uptime)
took() {
  now=$(cut -d. -f1 /proc/uptime)
  echo "# $1: $((now - last)) s"
  last=$now
}

set -- $(for card in /sys/class/net/*; do
  case "$(readlink "$card/device/driver")" in *gve) echo "${card##*/}" ;; esac
done)
ip netns add peer
ip link set "$2" netns peer
ip -n peer link set lo up
ip -n peer addr add 192.0.2.2/24 dev "$2"
ip -n peer addr add 2001:db8::2/64 dev "$2" nodad
ip -n peer link set "$2" up
# Tests set the link down, and find their addresses when it is up again.
echo 1 >"/proc/sys/net/ipv6/conf/$1/keep_addr_on_down"
ip addr add 192.0.2.1/24 dev "$1"
ip addr add 2001:db8::1/64 dev "$1" nodad
ip link set "$1" up
pinged() { until ping -c 1 -W 1 192.0.2.2 >/dev/null; do :; done; }
pinged
ethtool -K "$1" ntuple on

# Variables that the tests read (K: selftests/drivers/net/README.rst).
export NETIF="$1" REMOTE_TYPE=netns REMOTE_ARGS=peer
export LOCAL_V4=192.0.2.1 LOCAL_V6=2001:db8::1 REMOTE_V4=192.0.2.2 REMOTE_V6=2001:db8::2
took 'set-up'

# Runs a test of the kernel: its path without `.py`, and the cases that are known to fail. The tests wait
# for two seconds where a busy host needs more: what else failed is run again, twice at most.
judge() {
  name=${1##*/}
  cd "$TESTS/drivers/net/${1%"$name"}"
  shift
  cases=${CASES-}
  for round in 1 2 3; do
    "$PYTHON" "$name.py" $cases >/run/result 2>&1 || true
    cat /run/result
    cases=$(sed -n "s/^not ok [0-9]* $name\.\([a-z0-9_.]*\).*/\1/p" /run/result)
    for known; do cases=$(echo "$cases" | grep -vxF "$known" || true); done
    [ -n "$cases" ] || break
    cases=$(echo "$cases" | sed 's/^/-t /')
  done
  took "$name.py"
}
judge hw/devmem
judge hw/csum
judge hds set_xdp ioctl_set_xdp
judge queues
CASES='-T test_gro_order.32 -T test_gro_order.512'
judge hw/gro_hw test_gro_order.4
CASES=
# The card coalesces so much that iperf3 does not get to 100 packets within 0.1 s.
ethtool -K "$1" rx-gro-hw off
# The next case asks for rings of less than the driver's least.
echo 'netmem: a warning is expected' >/dev/kmsg
judge ring_reconfig
echo 'netmem: no further warning is expected' >/dev/kmsg
ethtool -K "$1" rx-gro-hw on

# Two queues whose interrupts have a processor each, which leaves two processors for RPS.
ethtool -L "$1" rx 2 tx 2
processor=0
for irq in "/sys/class/net/$1/device/msi_irqs/"*; do
  [ -d "/proc/irq/${irq##*/}" ] || continue
  echo $processor >"/proc/irq/${irq##*/}/smp_affinity_list"
  processor=$((1 - processor))
done
# The first socat that is found stands in for the real one: see socat.c.
mkdir /run/faster
cp "$files/socat" /run/faster
chmod +x /run/faster/socat
path=$PATH
PATH=/run/faster:$PATH
judge hw/toeplitz
PATH=$path
ethtool -L "$1" rx 4 tx 4

cd "$TESTS/drivers/net/hw"
netmem="node $CHECKOUT/dist/cli/main.js"
# Waits for a process in the background to say that it listens.
listening() {
  until grep -qE "$2" "$1"; do
    kill -0 $! || { cat "$1"; exit 1; }
    sleep 0.1
  done
}

./ncdevmem -l -f "$1" -s 192.0.2.1 -p 5201 -v 7 >/run/validated 2>/run/result &
listening /run/result Waiting
ip netns exec peer $netmem devmem send "$2" 192.0.2.1:5201 --bytes 64MiB --pattern ncdevmem >/run/sent 2>&1 ||
  cat /run/sent
wait $! && echo "ncdevmem validated $(sed -n 's/.*total_received=\([0-9]*\),.*/\1/p' /run/result | tail -1)"
took 'netmem to ncdevmem'

# ncdevmem sends each line by one call out of its memory, and fails where a busy host needs more than half
# a second to take what is left when the call returns: little, by a small send buffer.
ip netns exec peer sh -c 'echo 4096 65536 131072 >/proc/sys/net/ipv4/tcp_wmem'
$netmem devmem recv "$1" --host 192.0.2.1 --queues 3 --once --sha256 --linear refuse >/run/received 2>&1 &
receiver=$!
listening /run/received listening
tcpdump -Z root -i "$1" -w /run/dump -c 100 'tcp dst port 5201 and greater 1000' 2>/run/dumped &
dump=$!
listening /run/dumped listening
ip netns exec peer ./ncdevmem -f "$2" -s 192.0.2.1 -p 5201 <"$files/lines" 2>/run/sent || cat /run/sent
wait $receiver || cat /run/received
grep -q "$SHA256" /run/received && echo "netmem received $(stat -c %s "$files/lines")"
took 'ncdevmem to netmem'
wait $dump
# The lengths of these packets are there, and of their bytes none.
echo "tcpdump saw $(tcpdump -Z root -nn -r /run/dump 2>/dev/null | grep -c 'length [0-9]\{4,\}') packets," \
  "$(grep -ac 'of eight MiB' /run/dump || true) lines of payload"
took tcpdump

# io_uring's zero-copy receive, which needs a queue for itself as devmem does.
ethtool -G "$1" tcp-data-split on
ethtool -X "$1" equal 3
ethtool -N "$1" flow-type tcp4 dst-port 5202 action 3 >/run/rule
chmod +x "$files/zcrx-receive"
"$files/zcrx-receive" "$1" 3 192.0.2.1 5202 >/run/received 2>/run/result &
listening /run/result listening
head -c 16777216 /dev/urandom >/run/sent
ip netns exec peer socat -u OPEN:/run/sent TCP:192.0.2.1:5202
wait $! || cat /run/result
cmp /run/sent /run/received && echo "io_uring received $(stat -c %s /run/received)"
took io_uring

ping -n -f -q -c 3000 192.0.2.2 | grep -o '^.* received'
ping -n -f -q -s 4000 -c 1000 192.0.2.2 | grep -o '^.* received'
took 'ping -f'

for round in $(seq 100); do echo "link set $1 down"; echo "link set $1 up"; done >/run/flaps
ip -batch /run/flaps
pinged
echo 'down and up 100 times'
took 'down and up'
