# What the cases of stage "guest" say to the guest's shell. The VF stands in slot 2, or behind a port that stands
# there; its peer is a virtio-net in slot 4, which has a network namespace of its own, held by a process that sleeps.

VF_SLOT=/sys/bus/pci/devices/0000:00:02.0
[ ! -e "$VF_SLOT/pci_bus" ] || VF_SLOT=/sys/bus/pci/devices/0000:01:00.0
PEER_SLOT=/sys/bus/pci/devices/0000:00:04.0
NO_DAD="net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0"
# An interface answers for its own addresses only, or frames of a wrong VLAN would pass unseen.
STRICT="net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.arp_ignore=1"

# Name of the VF's interface; it may change when the driver is loaded again.
vf() { ls "$VF_SLOT/net" 2>/dev/null; }

# wait_for TENTHS COMMAND...: until the command succeeds.
wait_for() {
  tries=$1
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || {
      echo "waited in vain for: $*"
      return 1
    }
    sleep 0.1
  done
}

has_vf() { [ -n "$(vf)" ]; }
has_carrier() { [ "$(cat "/sys/class/net/$(vf)/carrier" 2>/dev/null)" = 1 ]; }
reaches_v4() { ping -c 1 -W 1 10.9.0.2; }
reaches_v6() { ping -6 -c 1 -W 1 fd09::2; }

# pings ARGUMENTS...: none of 20 may be lost.
pings() {
  told=$(ping -c 20 -i 0.05 -W 2 "$@" 2>&1)
  echo "$told" | grep -q ' 0% packet loss' && return 0
  echo "$told"
  return 1
}

peer() { nsenter -t "$PEER" -n "$@"; }

# Gives the peer's interface a namespace and addresses.
set_peer() {
  interface=$(ls "$PEER_SLOT"/virtio*/net)
  unshare -n sleep 100000 &
  PEER=$!
  sleep 0.1
  # Addresses are taken at once; that nobody else has them is known.
  sysctl -q -w $NO_DAD $STRICT
  peer sysctl -q -w $NO_DAD $STRICT
  ip link set "$interface" netns "$PEER"
  peer ip link set "$interface" name peer
  peer ip link set lo up
  peer ip link set peer up
  peer ip addr add 10.9.0.2/24 dev peer
  peer ip addr add fd09::2/64 dev peer
}

insert_iavf() {
  for module in $(cat /modules/iavf.order); do
    lsmod | grep -q "^$module " || insmod "/modules/$module.ko" || return 1
  done
}

load_iavf() { insert_iavf && wait_for 100 has_vf; }

# Brings the VF up with addresses, and waits until frames pass.
set_vf() {
  ip link set "$(vf)" up || return 1
  wait_for 100 has_carrier || return 1
  ip addr add 10.9.0.1/24 dev "$(vf)" 2>/dev/null
  ip addr add fd09::1/64 dev "$(vf)" 2>/dev/null
  wait_for 50 reaches_v4 && wait_for 50 reaches_v6
}

# set_mtu BYTES: at both ends, the VF's while it is down.
set_mtu() {
  peer ip link set peer mtu "$1" && ip link set "$(vf)" down && ip link set "$(vf)" mtu "$1" && set_vf
}

# Interrupts of the VF's queue vectors so far, a number for each queue.
queue_interrupts() {
  awk '/iavf.*TxRx/ { sum = 0; for (n = 2; n <= NF && $n ~ /^[0-9]+$/; n++) sum += $n; print sum }' /proc/interrupts
}

# Begins 32 TCP connections from the peer to the VF, which answers none: no frame of its own is counted.
flows_to_vf() {
  ip route add blackhole 10.9.0.2/32
  sleep 0.2
  queue_interrupts
  for port in $(seq 7001 7032); do peer nc -w 1 10.9.0.1 "$port" & done >/dev/null 2>&1
  sleep 1.5
  queue_interrupts
  ip route del blackhole 10.9.0.2/32
}

all_interrupts() { queue_interrupts | awk '{ sum += $1 } END { print sum }'; }

# VLAN 5 is gone at the VF: what the peer still sends there must not even raise an interrupt.
is_deaf_for_vlan5() {
  before=$(all_interrupts)
  peer ping -c 20 -i 0.05 -W 1 10.5.1.1 && return 1
  heard=$(($(all_interrupts) - before))
  # What the peer sends of its own accord may raise some.
  [ "$heard" -lt 10 ] || {
    echo "$heard interrupts"
    return 1
  }
}

# Frames that came broken to either end: TCP, UDP, ICMP and IP count them.
broken_frames() {
  for end in "" peer; do
    $end cat /proc/net/snmp | awk '
      $1 != last { split($0, names); last = $1; next }
      { for (n = 2; n <= NF; n++) if (names[n] ~ /^(InCsumErrors|InHdrErrors)$/) sum += $n }
      END { print sum + 0 }'
  done
}

# On a busy machine iavf looks for the answer to GET_VF_RESOURCES (request 3) before it is there, and asks again
# (iavf_init_get_resources, 6.1 and 6.12); a PF of i40e answers that once after a reset, and refuses it then. Harmless:
# were it refused from the first, there would be no interface.
ASKED_TWICE='PF returned error -5 .* to our request 3$'

# What no kernel should say.
complaints() {
  dmesg | grep -v "$ASKED_TWICE" | grep -E 'WARNING:|BUG:|Call Trace|Oops|NETDEV WATCHDOG|tx_timeout|hung|TX driver issue|PF returned error' && return 1
  return 0
}

# Streams that fill every queue on their way would hold up the pings beside them for a second.
small_windows() {
  for end in "" peer; do
    $end sysctl -q -w "net.ipv4.tcp_rmem=4096 65536 65536" "net.ipv4.tcp_wmem=4096 65536 65536"
  done
}

# Endless TCP streams, one to the VF and one from it, each a connection of its own, until end_streams. Both ends keep
# the checksum and the length of what passed.
begin_streams() {
  rm -rf /tmp/streams
  mkdir -p /tmp/streams
  dd if=/dev/urandom of=/tmp/streams/data bs=64k count=8 2>/dev/null
  begin_stream down 9001 peer "" 10.9.0.2
  begin_stream up 9002 "" peer 10.9.0.1
}

# begin_stream NAME PORT FROM TO ADDRESS: FROM and TO say in which namespace the ends are.
begin_stream() {
  at=/tmp/streams/$1
  mkfifo "$at.sum" "$at.count" "$at.got" "$at.open"
  (
    sha256sum <"$at.sum" >"$at.sent.sum" &
    wc -c <"$at.count" >"$at.sent.count" &
    while [ ! -e /tmp/streams/stop ]; do cat /tmp/streams/data; done | tee "$at.sum" "$at.count" | $3 nc -l -p "$2" >/dev/null
    wait
    touch "$at.sent"
  ) >/dev/null 2>&1 &
  sleep 1
  (
    sha256sum <"$at.got" >"$at.received.sum" &
    # Whose input ends is taken for gone by the other end: this input never does.
    $4 nc "$5" "$2" <>"$at.open" | tee "$at.got" | wc -c >"$at.received.count"
    wait
    touch "$at.received"
  ) >/dev/null 2>&1 &
}

# What the VF's interface received and sent, in bytes.
stream_bytes() { cat "/sys/class/net/$(vf)/statistics/rx_bytes" "/sys/class/net/$(vf)/statistics/tx_bytes"; }

# Checksum and length at each end of both streams, and how many segments were sent again.
end_streams() {
  touch /tmp/streams/stop
  for name in down up; do
    for end in sent received; do
      wait_for 200 [ -e "/tmp/streams/$name.$end" ] || return 1
      echo "$(cut -d' ' -f1 <"/tmp/streams/$name.$end.sum") $(tr -d ' ' <"/tmp/streams/$name.$end.count")"
    done
  done
  { cat /proc/net/snmp; peer cat /proc/net/snmp; } | awk '
    $1 == "Tcp:" && $2 == "RtoAlgorithm" { split($0, names); next }
    $1 == "Tcp:" { for (n = 2; n <= NF; n++) if (names[n] == "RetransSegs") sum += $n }
    END { print sum + 0 }'
}

begin_pings() {
  ping -i 0.05 -W 5 10.9.0.2 >/tmp/pings 2>&1 &
  PINGS=$!
}

# Sequence numbers that were answered, each once, with the milliseconds that each took.
end_pings() {
  kill -INT "$PINGS"
  sleep 0.5
  grep DUP /tmp/pings && return 1
  sed -n 's/.* seq=\([0-9]*\) .*time=\([0-9.]*\) ms.*/\1 \2/p' /tmp/pings
}

# What iavf says where it resets the device, or the PF does.
reset_complaints() {
  dmesg | grep iavf | grep -iE 'reset|hardware|timed? ?out|down' && return 1
  return 0
}
