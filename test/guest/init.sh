#!/bin/busybox sh
# First program of the guest. Mounts the host's root, read-only, and the folder of this run, runs its
# script on them, leaves what the kernel said in the folder, and powers off.
# The folder has: modules (paths on the host), kept (folders of the host that stay visible under
# /tmp, /run and /var/tmp), environment, script, and files/, where the script runs.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev

# Says something on the console, and powers off when it has been sent: stty sets by TCSADRAIN.
stop() {
  $bb echo "netmem: $1"
  $bb stty sane
  $bb poweroff -f
}

# A probe wants to know whether the machine runs at all.
$bb grep -q netmem.probe /proc/cmdline && stop 'the guest runs'

options=trans=virtio,version=9p2000.L,msize=1048576
while read -r module; do
  $bb insmod "/modules/$module" || stop "the guest cannot insert $module"
done </modules/order
$bb mount -t 9p -o "ro,$options,cache=loose" host /host || stop "the guest cannot mount the host's root"
$bb mount -t 9p -o "$options,cache=none" run /run || stop 'the guest cannot mount the folder of this run'
while read -r module; do
  $bb insmod "/host$module" || stop "the guest cannot insert $module"
done </run/modules

# The host's folders for temporary files are hidden, but for what the run needs of them.
$bb mount -o bind /host /hidden
for folder in /tmp /run /var/tmp; do
  [ -d "/host$folder" ] && $bb mount -t tmpfs tmp "/host$folder"
done
while read -r folder; do
  $bb mkdir -p "/host$folder" && $bb mount -o bind "/hidden$folder" "/host$folder" ||
    stop "the guest cannot show $folder"
done </run/kept
$bb mkdir -p /host/run/netmem
for folder in proc sys dev; do $bb mount -o move "/$folder" "/host/$folder"; done
$bb mount -o bind /run /host/run/netmem
$bb mkdir -p /host/dev/pts /host/dev/shm
$bb mount -t devpts pts /host/dev/pts
$bb mount -t tmpfs shm /host/dev/shm
$bb hostname guest
$bb ip link set lo up

$bb echo 'netmem: the script begins' >/host/dev/kmsg
$bb chroot /host /bin/sh -c '. /run/netmem/environment; cd /run/netmem/files; exec /bin/sh ../script' \
  >/run/output 2>&1 </host/dev/null
code=$?
$bb dmesg -r >/run/kernel 2>/dev/null || $bb chroot /host dmesg -r >/run/kernel
$bb cat /host/proc/sys/kernel/tainted >/run/tainted
$bb echo $code >/run/exit
$bb sync
$bb poweroff -f
