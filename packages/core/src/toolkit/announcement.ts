import type { DmaBuffer } from "../sub-driver/context.ts";

/** Shortest Ethernet frame without FCS, in bytes. */
const FRAME = 60;
/** Bytes between two frames. */
const SLOT = 64;
/** Addresses that are announced at most; half a page of frames. */
const MOST = 32;

/** Frames that tell switches where the guest's addresses are now: RARP requests, as VMMs send them. */
export class Announcement {
  readonly #buffer: DmaBuffer;

  /** @param allocate - memory that the device reaches, in bytes */
  constructor(allocate: (bytes: number) => DmaBuffer) {
    this.#buffer = allocate(MOST * SLOT);
  }

  /** Writes one frame for each unicast address (6 bytes), of the first 32, and returns where they are. */
  prepare(macs: Iterable<Uint8Array>): { readonly iova: number; readonly length: number }[] {
    const frames: { iova: number; length: number }[] = [];
    for (const mac of macs) {
      const group = ((mac[0] ?? 0) & 1) !== 0;
      if (!group && frames.length < MOST) {
        const at = frames.length * SLOT;
        writeRarp(this.#buffer.bytes.subarray(at, at + FRAME), mac);
        frames.push({ iova: this.#buffer.iova + at, length: FRAME });
      }
    }
    return frames;
  }

  close(): void {
    this.#buffer[Symbol.dispose]();
  }
}

function writeRarp(frame: Uint8Array, mac: Uint8Array): void {
  frame.fill(0);
  frame.fill(0xff, 0, 6);
  frame.set(mac, 6);
  // Ethertype RARP; hardware Ethernet, protocol IPv4, address lengths 6 and 4, reverse request.
  frame.set([0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3], 12);
  frame.set(mac, 22);
  frame.set(mac, 32);
}
