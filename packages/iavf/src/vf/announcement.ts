import type { DmaBuffer } from "@vfmig/core";
import { macFromString } from "../virtchnl/body.ts";

/** Shortest Ethernet frame without FCS, in bytes. */
const FRAME = 60;
/** Addresses that are announced at most; one page of frames. */
const MOST = 32;

/** Frames that tell switches where the guest's addresses are now: RARP requests, as VMMs send them. */
export class Announcement {
  readonly #buffer: DmaBuffer;

  constructor(allocate: (bytes: number) => DmaBuffer) {
    this.#buffer = allocate(4096);
  }

  /** Writes one frame for each unicast address and returns where they are. */
  prepare(macs: Iterable<string>): { readonly iova: number; readonly length: number }[] {
    const frames: { iova: number; length: number }[] = [];
    for (const text of macs) {
      const mac = macFromString(text);
      const group = ((mac[0] ?? 0) & 1) !== 0;
      if (!group && frames.length < MOST) {
        const at = frames.length * 64;
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
