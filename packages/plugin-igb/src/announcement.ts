import type { DmaBuffer } from "@vfmig/core";
import { macBytes } from "./mailbox/messages.ts";

/** Shortest Ethernet frame without FCS, in bytes. */
const FRAME = 60;
const SLOT = 64;
/** Addresses that are announced at most; one page of frames. */
const MOST = 32;

/** Frames that tell switches where the guest's addresses are now: RARP requests, as VMMs send them. */
export class Announcement {
  readonly #buffer: DmaBuffer;

  constructor(allocate: (bytes: number) => DmaBuffer) {
    this.#buffer = allocate(MOST * SLOT);
  }

  /** Writes one frame for each address and returns where they are. */
  prepare(macs: readonly string[]): { readonly iova: number; readonly length: number }[] {
    return macs.slice(0, MOST).map((mac, index) => {
      const at = index * SLOT;
      writeRarp(this.#buffer.bytes.subarray(at, at + FRAME), macBytes(mac));
      return { iova: this.#buffer.iova + at, length: FRAME };
    });
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
