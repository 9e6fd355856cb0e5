import { parseMac } from "./ethernet.ts";
import { seededRandom } from "./seeded-random.ts";
import type { PlannedFrame, TrafficPlan } from "./traffic-plan.ts";
import { TRAILER_BYTES } from "./trailer.ts";

/** Flows of each direction: TCP and UDP over IPv4 and IPv6, every third one tagged. */
const FLOWS = 24;
/** Frames of each flow in one loop. */
const FRAMES = 8;
const VLANS: readonly number[] = [10, 20, 30];
/** MTU of the guest, in bytes. */
const MTU = 9000;
/** Lengths of marked frames without tag, in bytes: the edges, those of real networks, and any between. */
const LENGTHS: readonly number[] = [64, 64, 128, 256, 512, 576, 1024, 1500, 1518, 2048, 4096, 9000];
/** Bytes of a tag. */
const VLAN_TAG = 4;
const UDP = 17;
const TCP = 6;

interface Ends {
  readonly guest: Uint8Array;
  readonly peer: Uint8Array;
}

/**
 * Made-up traffic that meets more of a NIC than one capture can: 64 to 9,000 bytes, tagged and
 * untagged, TCP and UDP over IPv4 and IPv6, many flows for RSS. The same seed gives the same plan.
 *
 * @param guestMac such as `02:00:00:00:00:0a`
 * @throws VfmigError `ERR_VFMIG_MAC_ADDRESS`
 */
export function planMixedTraffic(guestMac: string, seed: number): TrafficPlan {
  const ends = { guest: parseMac(guestMac), peer: parseMac("02:00:00:00:00:fe") };
  const random = seededRandom(seed);
  const flows: string[] = [];
  const toGuest: PlannedFrame[] = [];
  const fromGuest: PlannedFrame[] = [];
  for (let number = 0; number < FLOWS; number++) {
    for (const inward of [true, false]) {
      const flow = flows.length;
      flows.push(nameOf(number, inward));
      for (let frame = 0; frame < FRAMES; frame++) {
        const bytes = frameOf(ends, number, inward, lengthOf(random));
        for (let at = headerEnd(number); at < bytes.length; at++) bytes[at] = random() * 256;
        (inward ? toGuest : fromGuest).push({ bytes, flow });
      }
    }
  }
  shuffle(toGuest, random);
  shuffle(fromGuest, random);
  const longest = MTU - TRAILER_BYTES + VLAN_TAG;
  return { guestMac, flows, toGuest, fromGuest, multicast: [], vlans: VLANS, mtu: MTU, longest };
}

function isV6(number: number): boolean {
  return (number & 2) !== 0;
}

function protocolOf(number: number): number {
  return (number & 1) !== 0 ? TCP : UDP;
}

function vlanOf(number: number): number | undefined {
  return number % 3 === 0 ? VLANS[(number / 3) % VLANS.length] : undefined;
}

function nameOf(number: number, inward: boolean): string {
  const kind = `${protocolOf(number) === TCP ? "tcp" : "udp"}${isV6(number) ? 6 : 4}`;
  const vlan = vlanOf(number);
  const tag = vlan === undefined ? "" : ` vlan ${vlan}`;
  return `${kind}${tag} flow ${number} ${inward ? "in" : "out"}`;
}

function lengthOf(random: () => number): number {
  const known = LENGTHS[Math.floor(random() * (LENGTHS.length + 4))];
  return (known ?? 64 + Math.floor(random() * (MTU - 64))) - TRAILER_BYTES;
}

/** Bytes before the payload. */
function headerEnd(number: number): number {
  const tag = vlanOf(number) === undefined ? 0 : VLAN_TAG;
  return 14 + tag + (isV6(number) ? 40 : 20) + (protocolOf(number) === TCP ? 20 : 8);
}

/** Headers that a NIC can hash; sums of layer 4 are not kept, since each frame's trailer differs. */
function frameOf(ends: Ends, number: number, inward: boolean, length: number): Uint8Array {
  const vlan = vlanOf(number);
  const bytes = new Uint8Array(
    Math.max(length, headerEnd(number)) + (vlan === undefined ? 0 : VLAN_TAG),
  );
  const data = new DataView(bytes.buffer);
  bytes.set(inward ? ends.guest : ends.peer, 0);
  bytes.set(inward ? ends.peer : ends.guest, 6);
  let at = 12;
  if (vlan !== undefined) {
    data.setUint16(at, 0x8100);
    data.setUint16(at + 2, vlan);
    at += 4;
  }
  data.setUint16(at, isV6(number) ? 0x86dd : 0x0800);
  at += 2;
  const transport = isV6(number)
    ? writeIpv6(data, at, number, inward, bytes.length - at)
    : writeIpv4(data, at, number, inward, bytes.length - at);
  data.setUint16(transport, inward ? 5000 : 6000 + number);
  data.setUint16(transport + 2, inward ? 6000 + number : 5000);
  // A header of 20 bytes with ACK alone: a NIC may hash a SYN as another kind of packet.
  if (protocolOf(number) === TCP) data.setUint16(transport + 12, 0x5010);
  return bytes;
}

function writeIpv4(
  data: DataView,
  at: number,
  number: number,
  inward: boolean,
  length: number,
): number {
  data.setUint16(at, 0x4500);
  data.setUint16(at + 2, length);
  data.setUint16(at + 8, 0x4000 | protocolOf(number));
  const peer = 0xc633_6400 + 2 + (number % 5);
  data.setUint32(at + 12, inward ? peer : 0xc633_6401);
  data.setUint32(at + 16, inward ? 0xc633_6401 : peer);
  let sum = 0;
  for (let word = 0; word < 20; word += 2) sum += data.getUint16(at + word);
  sum = (sum & 0xffff) + (sum >>> 16);
  data.setUint16(at + 10, ~(sum + (sum >>> 16)) & 0xffff);
  return at + 20;
}

function writeIpv6(
  data: DataView,
  at: number,
  number: number,
  inward: boolean,
  length: number,
): number {
  data.setUint32(at, 0x6000_0000);
  data.setUint16(at + 4, length - 40);
  data.setUint16(at + 6, (protocolOf(number) << 8) | 64);
  for (const [place, last] of [
    [at + 8, inward ? 2 + (number % 5) : 1],
    [at + 24, inward ? 1 : 2 + (number % 5)],
  ] as const) {
    data.setUint32(place, 0x2001_0db8);
    data.setUint32(place + 12, last);
  }
  return at + 40;
}

function shuffle(frames: PlannedFrame[], random: () => number): void {
  for (let last = frames.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [frames[last], frames[other]];
    if (a !== undefined && b !== undefined) [frames[last], frames[other]] = [b, a];
  }
}
