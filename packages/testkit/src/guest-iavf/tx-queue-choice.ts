import { ETHERTYPE } from "../traffic/ethernet.ts";
import { TAG_BYTES, tagOf } from "../guest/vlan-tags.ts";

/**
 * The queue of a frame to send: by addresses and, in unfragmented TCP and UDP, ports, so that the
 * frames of a flow stay in order. As a stack's flow hash, in short.
 */
export function txQueueOf(frame: Uint8Array, queues: number): number {
  if (queues === 1) return 0;
  return tagOf(frame) < 0 ? queueOf(frame, queues) : queueOf(frame.subarray(TAG_BYTES), queues);
}

/** The same for a frame whose ethertype stands at byte 12. */
function queueOf(frame: Uint8Array, queues: number): number {
  if (frame.length < 38) return 0;
  const type = u16(frame, 12);
  if (type === ETHERTYPE.IPV4) {
    const hash = fold(frame, 26, 34, frame[23] ?? 0);
    const fragment = (u16(frame, 20) & 0x3fff) !== 0;
    const ports = 14 + ((frame[14] ?? 0) & 0xf) * 4;
    return (fragment ? hash : withPorts(frame, frame[23] ?? 0, ports, hash)) % queues;
  }
  if (type === ETHERTYPE.IPV6 && frame.length >= 58) {
    const hash = fold(frame, 22, 54, frame[20] ?? 0);
    return withPorts(frame, frame[20] ?? 0, 54, hash) % queues;
  }
  return 0;
}

function withPorts(frame: Uint8Array, protocol: number, at: number, hash: number): number {
  if (protocol !== 6 && protocol !== 17) return hash;
  return fold(frame, at, Math.min(at + 4, frame.length), hash);
}

/** FNV-1a over `frame[from, to)`. */
function fold(frame: Uint8Array, from: number, to: number, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (frame[i] ?? 0), 0x0100_0193) >>> 0;
  return hash;
}

function u16(frame: Uint8Array, offset: number): number {
  return ((frame[offset] ?? 0) << 8) | (frame[offset + 1] ?? 0);
}
