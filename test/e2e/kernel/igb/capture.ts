import { parseMac } from "@vfmig/testkit/traffic";

/** Frames of each side. */
const FRAMES = 256;
const FLOWS = 8;
/** Bytes: once they are numbered, frames still fit the MTU of Linux's interfaces on their way. */
const SHORTEST = 60;
const LONGEST = 1498;

/** A classic pcap file of UDP flows between two stations, as many frames each way, of every length. */
export function makeCapture(guestMac: string, peerMac: string): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2_c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(262_144, 16);
  header.writeUInt32LE(1, 20);
  const [guest, peer] = [parseMac(guestMac), parseMac(peerMac)];
  const records = Array.from({ length: FRAMES }, (_, at) => {
    const length = SHORTEST + ((at * 211) % (LONGEST - SHORTEST + 1));
    return [recordOf(frame(peer, guest, at, length)), recordOf(frame(guest, peer, at, length))];
  });
  return Buffer.concat([header, ...records.flat()]);
}

function recordOf(bytes: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(bytes.length, 8);
  header.writeUInt32LE(bytes.length, 12);
  return Buffer.concat([header, bytes]);
}

/** IPv4 and UDP; the flow chooses the ports. Nobody looks at the check sums on the way. */
function frame(from: Uint8Array, to: Uint8Array, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, at & 0xff);
  bytes.set(to, 0);
  bytes.set(from, 6);
  bytes.writeUInt16BE(0x0800, 12);
  bytes.set([0x45, 0], 14);
  bytes.writeUInt16BE(length - 14, 16);
  bytes.set([0, 0, 0, 0, 64, 17, 0, 0], 18);
  bytes.set([198, 51, 100, from[5] ?? 0, 198, 51, 100, to[5] ?? 0], 26);
  bytes.writeUInt16BE(4096 + (at % FLOWS), 34);
  bytes.writeUInt16BE(8192 + (at % FLOWS), 36);
  bytes.writeUInt16BE(length - 34, 38);
  bytes.writeUInt16BE(0, 40);
  return bytes;
}
