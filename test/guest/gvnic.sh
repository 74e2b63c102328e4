# Script of the guest in gvnic.boot.test.ts: two wired cards, the second of them in a network namespace,
# and a third one on a TAP interface of the host. Each line of its output is checked, so it prints
# nothing else. BUSYBOX names a program, ETHTOOL and TCPDUMP the folders of Debian's packages, and HOST the
# host's address behind the third card. The host acts on some of the lines.
set -e
# Tries a command until it succeeds. The guest's limit bounds a hang, and no count does: a busy host takes
# longer for each.
eventually() {
  until "$@" 2>/dev/null; do sleep 0.1; done
}
pinged() { eventually $BUSYBOX ping -c 1 -W 1 "$1" >/dev/null; }
ping() { $BUSYBOX ping -c 3 -i 0.2 "$@" | grep -o '[0-9]* packets received'; }
# Debian's programs take their own libraries by their own loader, not those of the host.
debian() {
  cat >"/run/${2##*/}" <<END_OF_PROGRAM
#!/bin/sh
exec $1/usr/lib64/ld-linux-x86-64.so.2 --library-path $1/usr/lib/x86_64-linux-gnu $1/$2 "\$@"
END_OF_PROGRAM
  chmod +x "/run/${2##*/}"
}
debian "$ETHTOOL" usr/sbin/ethtool
debian "$TCPDUMP" usr/bin/tcpdump
export PATH="/run:$PATH"
cards() {
  for card in /sys/class/net/*; do
    case "$(readlink "$card/device/driver")" in *gve) echo "${card##*/}" ;; esac
  done
}
connect() {
  ip addr replace 192.0.2.1/24 dev "$1" && ip link set "$1" up
  ip addr replace fd00::1/64 dev "$1" nodad
}
connect_peer() {
  ip link set "$1" netns peer
  ip -n peer addr add 192.0.2.2/24 dev "$1"
  ip -n peer link set "$1" up
  ip -n peer addr add fd00::2/64 dev "$1" nodad
}
transfer() {
  # Emptied before this receiver begins: the last one has said that it listens.
  : >receiver
  ip netns exec peer node transfer.mjs receiver "$1" >>receiver &
  eventually grep -q listening receiver
  node transfer.mjs sender "$1"
  wait
  tail -1 receiver
}

ip netns add peer
set -- $(cards)
connect_peer "$2"
connect "$1"
pinged 192.0.2.2
ping 192.0.2.2
ping -s 8900 192.0.2.2
ping fd00::2
transfer 192.0.2.2

# BIG TCP: packets of more than 64 KiB between each kernel and its card. A card's received packets are
# shorter, so the receiver's kernel makes them of several. Any other packet ends no tcpdump.
ip link set "$1" gso_max_size 200000 gro_max_size 200000
ip -n peer link set "$2" gso_max_size 200000 gro_max_size 200000
ip netns exec peer ethtool -K "$2" rx-gro-hw off
cat >/run/larger <<'END_OF_PROGRAM'
#!/bin/sh
exec tcpdump -Z root -i "$1" -w /dev/null -c 1 'tcp and greater 70000' 2>"$2"
END_OF_PROGRAM
chmod +x /run/larger
larger "$1" sent &
ip netns exec peer larger "$2" received &
eventually grep -q listening sent
eventually grep -q listening received
transfer fd00::2
grep -q '^1 packet captured' sent
grep -q '^1 packet captured' received
ip netns exec peer ethtool -K "$2" rx-gro-hw on
echo BIG TCP

ip link add link "$1" name tagged type vlan id 7
ip addr add 192.0.7.1/24 dev tagged && ip link set tagged up
ip -n peer link add link "$2" name tagged type vlan id 7
ip -n peer addr add 192.0.7.2/24 dev tagged
ip -n peer link set tagged up
pinged 192.0.7.2
echo tagged
transfer 192.0.7.2
ip link delete tagged

for round in 1 2 3 4 5; do ip link set "$1" down; ip link set "$1" up; done
connect "$1"
pinged 192.0.2.2
echo down and up

# The host takes the card's link down, and up again.
carrier() { [ "$(cat "/sys/class/net/$1/carrier")" = "$2" ]; }
echo link down
eventually carrier "$1" 0
echo link up
eventually carrier "$1" 1
pinged 192.0.2.2

ethtool -i "$1" | grep '^driver'
ethtool -n "$1" | grep 'RX rings'
ethtool -x "$1" | grep -c '^ *[0-9]*:  '

ethtool --reset "$1" all >/dev/null
connect "$1"
pinged 192.0.2.2
echo reset

$BUSYBOX rmmod gve
$BUSYBOX insmod "$(grep '/gve\.ko$' /run/netmem/modules)"
set -- $(cards)
connect_peer "$2"
connect "$1"
pinged 192.0.2.2
echo driver inserted anew

# A driver that means harm has the first card, which is as it was when gve has it back.
pci=$(basename "$(readlink "/sys/class/net/$1/device")")
echo "$pci" >/sys/bus/pci/drivers/gve/unbind
echo 4 >/proc/sys/vm/nr_hugepages
node "$CHECKOUT/test/guest/hostile-driver.mjs" "$pci"
echo "$pci" >/sys/bus/pci/drivers/gve/bind
connect "$1"
pinged 192.0.2.2
echo bound anew

# The host's kernel behind the third card. It sends packets that are too large, besides what it echoes.
ip addr add "$GUEST/24" dev "$3" && ip link set "$3" up
pinged "$HOST"
node transfer.mjs mirror "$HOST"
over_mru() { ethtool -S "$1" | grep -q 'rx_drops_packet_over_mru.*: [1-9]'; }
eventually over_mru "$3"
echo beyond the MRU

# The third card's process ends while the guest sends to the host. Its driver gives up with the first reset
# after that, and all else goes on.
echo 'netmem: a warning is expected' >/dev/kmsg
node transfer.mjs flood "$HOST" &
flood=$!
sent() { [ "$(cat "/sys/class/net/$1/statistics/tx_bytes")" -gt "$2" ]; }
eventually sent "$3" $(($(cat "/sys/class/net/$3/statistics/tx_bytes") + 4000000))
echo end the third card
given_up() {
  ethtool --reset "$3" all >/dev/null || true
  $BUSYBOX dmesg | grep -q 'Reset failed'
}
eventually given_up "$@"
kill $flood
pinged 192.0.2.2
echo 'netmem: no further warning is expected' >/dev/kmsg
echo gave up

# QEMU is killed while the guest sends. What its first program would have left is left before.
$BUSYBOX dmesg -r >../kernel
cat /proc/sys/kernel/tainted >../tainted
# The peer sends nothing: two nc that both send would each wait for the other to read.
$BUSYBOX tail -f /dev/null | ip netns exec peer $BUSYBOX nc -l -p 5202 >/dev/null &
(until $BUSYBOX nc 192.0.2.2 5202 </dev/zero >/dev/null 2>&1; do sleep 0.1; done) &
eventually sent "$1" 10000000
echo 0 >../exit
echo kill QEMU
wait
