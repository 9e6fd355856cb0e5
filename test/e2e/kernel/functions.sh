# What stage "kernel" says to the guest's shell: the host's files as the root of a chroot, and devices for VFIO.

ROOT=/host-root
DEVICES=/sys/bus/pci/devices

# set_root CLONE: below $ROOT the guest sees the host's files, read-only, but has its own processes, devices and
# scratch folders. CLONE is the path of the repository, which may lie in a folder that the guest has for itself.
set_root() {
  mkdir -p /host "$ROOT"
  mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose host /host || return 1
  mount -t tmpfs root "$ROOT"
  for entry in /host/*; do
    name=${entry#/host/}
    if [ -L "$entry" ]; then
      ln -s "$(readlink "$entry")" "$ROOT/$name"
    elif [ -d "$entry" ]; then
      mkdir "$ROOT/$name"
      case $name in
        dev | proc | sys) mount --rbind "/$name" "$ROOT/$name" ;;
        tmp | run) ;;
        *) mount --bind "$entry" "$ROOT/$name" ;;
      esac
    fi || return 1
  done
  chmod 1777 "$ROOT/tmp"
  [ -e "$ROOT/dev/shm" ] || { mkdir "$ROOT/dev/shm" && mount -t tmpfs shm "$ROOT/dev/shm"; }
  [ -d "$ROOT$1/test" ] || { mkdir -p "$ROOT$1" && mount --bind "/host$1" "$ROOT$1"; }
}

# inside FOLDER PROGRAM...: runs a program of the host there.
inside() {
  folder=$1
  shift
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TMPDIR=/tmp \
    chroot "$ROOT" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$folder" "$@"
}

# Lets the next access see what the host changed.
see_changes() { echo 3 >/proc/sys/vm/drop_caches; }

driver_of() { basename "$(readlink "$DEVICES/$1/driver" 2>/dev/null)" 2>/dev/null; }

# bind_device ADDRESS DRIVER
bind_device() {
  [ "$(driver_of "$1")" = "$2" ] && return 0
  echo "$2" >"$DEVICES/$1/driver_override"
  [ -e "$DEVICES/$1/driver" ] && echo "$1" >"$DEVICES/$1/driver/unbind"
  echo "$1" >/sys/bus/pci/drivers_probe
  [ "$(driver_of "$1")" = "$2" ] || {
    echo "$1 has the driver $(driver_of "$1"), not $2"
    return 1
  }
}

# make_vfs PF COUNT: VFs of the PF on vfio-pci, and the PF's interface up, without which no VF passes a frame.
make_vfs() {
  echo "$2" >"$DEVICES/$1/sriov_numvfs" || return 1
  ip link set "$(ls "$DEVICES/$1/net")" up || return 1
  for vf in "$DEVICES/$1"/virtfn*; do
    bind_device "$(basename "$(readlink "$vf")")" vfio-pci || return 1
  done
}

# make_mdevs UUID...: mtty devices with one port each.
make_mdevs() {
  [ -d /sys/class/mtty ] || insmod /modules/mtty.ko || return 1
  for uuid in "$@"; do
    echo "$uuid" >/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1/create || return 1
  done
}

# script FILE WORD...: a script of the clone, by the clone's Node; sees what the host changed.
script() {
  see_changes
  inside "$CLONE" "$NODE" "$@"
}

# load NAME: a module on demand with what it needs.
load() {
  for module in $(cat "/modules/$1.order"); do
    [ -d "/sys/module/$module" ] || insmod "/modules/$module.ko" || return 1
  done
}

# make_lan MAC TAP: the interface with that address, and a new TAP, as ports of one bridge. Nobody speaks but those who
# are asked to.
make_lan() {
  for module in virtio_net bridge tun; do load "$module" || return 1; done
  echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
  peer=$(dirname "$(grep -lx "$1" /sys/class/net/*/address)")
  mkdir -p /dev/net
  [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
  tunctl -t "$2" >/dev/null || return 1
  brctl addbr lan || return 1
  for port in "$(basename "$peer")" "$2"; do
    ip link set "$port" up && brctl addif lan "$port" || return 1
  done
  ip link set lan up
}
