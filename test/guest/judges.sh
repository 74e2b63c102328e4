# Runs the kernel's own tests over two wired cards, in the guest of judges.boot.test.ts. Reads BUSYBOX,
# CHECKOUT, ETHTOOL (the folder of Debian's package), PYTHON and TESTS (the kernel's selftests).
set -e
files=$PWD

# Its own loader takes ethtool's own libraries, whatever the host has.
cat >/run/ethtool <<END
#!/bin/sh
exec $ETHTOOL/usr/lib64/ld-linux-x86-64.so.2 --library-path $ETHTOOL/usr/lib/x86_64-linux-gnu \\
  $ETHTOOL/usr/sbin/ethtool "\$@"
END
chmod +x /run/ethtool
export PATH="/run:$PATH"

set -- $(for card in /sys/class/net/*; do
  case "$(readlink "$card/device/driver")" in *gve) echo "${card##*/}" ;; esac
done)
ip netns add peer
ip link set "$2" netns peer
ip -n peer link set lo up
ip -n peer addr add 192.0.2.2/24 dev "$2"
ip -n peer addr add 2001:db8::2/64 dev "$2" nodad
ip -n peer link set "$2" up
ip addr add 192.0.2.1/24 dev "$1"
ip addr add 2001:db8::1/64 dev "$1" nodad
ip link set "$1" up
until "$BUSYBOX" ping -c 1 -W 1 192.0.2.2 >/dev/null; do :; done
ethtool -K "$1" ntuple on

# What the tests read (K: selftests/drivers/net/README.rst).
export NETIF="$1" REMOTE_TYPE=netns REMOTE_ARGS=peer
export LOCAL_V4=192.0.2.1 LOCAL_V6=2001:db8::1 REMOTE_V4=192.0.2.2 REMOTE_V6=2001:db8::2

cd "$TESTS/drivers/net/hw"
# The tests wait for two seconds where a busy host needs more: what failed is run again, twice at most.
for test in devmem csum; do
  again=
  for round in 1 2 3; do
    "$PYTHON" $test.py $again >/run/result 2>&1 || true
    cat /run/result
    again=$(sed -n "s/^not ok [0-9]* $test\.\([a-z0-9_]*\).*/-t \1/p" /run/result)
    [ -n "$again" ] || break
  done
done

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
ip netns exec peer $netmem devmem send "$2" 192.0.2.1:5201 --bytes 16MiB --pattern ncdevmem >/run/sent 2>&1 ||
  cat /run/sent
wait $! && echo "ncdevmem validated $(sed -n 's/.*total_received=\([0-9]*\),.*/\1/p' /run/result | tail -1)"

# ncdevmem sends each line by one call out of its memory, and fails where a busy host needs more than half
# a second to take what is left when the call returns: little, by a small send buffer.
ip netns exec peer sh -c 'echo 4096 65536 131072 >/proc/sys/net/ipv4/tcp_wmem'
for line in 1 2 3 4; do
  "$BUSYBOX" yes "line $line of two MiB" | tr '\n' ' ' | head -c 2097151
  echo
done >/run/lines
$netmem devmem recv "$1" --host 192.0.2.1 --queues 3 --once --sha256 --linear refuse >/run/received 2>&1 &
listening /run/received listening
ip netns exec peer ./ncdevmem -f "$2" -s 192.0.2.1 -p 5201 </run/lines 2>/run/sent || cat /run/sent
wait $! || cat /run/received
grep -q "$(sha256sum /run/lines | cut -d' ' -f1)" /run/received &&
  echo "netmem received $(stat -c %s /run/lines)"

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
