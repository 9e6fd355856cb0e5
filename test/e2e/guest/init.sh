#!/bin/busybox sh
# First process of a guest: sets the scene, then runs what comes over the second serial port.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin
# Silence on the console, but for what the kernel finds wrong.
dmesg -n 4
for module in $(cat /modules/at-boot); do
  insmod "/modules/$module.ko" || echo "cannot load $module" >/dev/console
done
ip link set lo up
exec 3<>/dev/ttyS1
stty raw -echo <&3
echo "@@ready" >&3
# The shell ends only by a fault of its own; the first process must not.
while :; do
  # Not on a terminal, so that the shell neither prompts nor echoes; commands write to 3.
  setsid sh <&3 >/dev/null 2>&1
  echo "@@shell-ended" >&3
  sleep 1
done
