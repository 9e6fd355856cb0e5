import { TX_COMMAND, TX_CONTEXT_COMMAND, txBufferSize, txContextTso, txTag } from "@vfmig/iavf";
import { createTxOffload, type TxOffload } from "./tx-offload.ts";

/** Data descriptors of one frame on the wire. */
const MAX_BUFFERS = 8;

/** Largest ring, in descriptors. */
export const MAX_RING = 8160;

/** Bytes that one packet may gather: the largest TSO payload (18 bits) with its headers. */
export const MAX_PACKET: number = 0x4_0000 + 1024;

/** One packet as it is gathered from a ring: what its descriptors say, then its bytes. */
export class TxPacket {
  readonly bytes: Uint8Array = new Uint8Array(MAX_PACKET);
  readonly offload: TxOffload = createTxOffload();
  readonly addresses: Float64Array = new Float64Array(MAX_RING);
  readonly sizes: Uint16Array = new Uint16Array(MAX_RING);
  /** Data descriptors so far. */
  buffers = 0;
  length = 0;
  /** Halves of the first data descriptor's second quadword. */
  low = 0;
  high = 0;
  context = false;
  /** First word of the context descriptor: the tunnel. */
  tunnel = 0;
  tso = false;
  tsoLength = 0;
  mss = 0;
  /** VLAN tags to insert, or -1. */
  outerTag = -1;
  tag = -1;

  clear(): void {
    this.buffers = 0;
    this.length = 0;
    this.context = false;
    this.tunnel = 0;
    this.tso = false;
    this.outerTag = -1;
    this.tag = -1;
  }

  /** Takes a context descriptor that is not empty. */
  setContext(tunnel: number, tag2: number, low: number, high: number): void {
    this.context = true;
    this.tunnel = tunnel;
    this.tso = (low & TX_CONTEXT_COMMAND.TSO) !== 0;
    const { length, mss } = txContextTso(low, high);
    this.tsoLength = length;
    this.mss = mss;
    if ((low & TX_CONTEXT_COMMAND.IL2TAG2) !== 0) this.outerTag = tag2 & 0xffff;
  }

  /** Takes a data descriptor; returns what is wrong with it, if anything. */
  add(address: number, low: number, high: number, maxFrame: number): string | undefined {
    const size = txBufferSize(high);
    if (size === 0) return "a data descriptor of 0 bytes";
    if (!this.tso && this.buffers === MAX_BUFFERS) return "more than 8 data descriptors";
    if (this.buffers === MAX_RING) return "a packet longer than any ring";
    if (this.buffers === 0) {
      this.low = low;
      this.high = high;
      if ((low & TX_COMMAND.IL2TAG1) !== 0) this.tag = txTag(high);
    }
    this.addresses[this.buffers] = address;
    this.sizes[this.buffers] = size;
    this.buffers++;
    this.length += size;
    if (this.length > (this.tso ? MAX_PACKET : maxFrame)) return "a packet that is too long";
    return undefined;
  }

  /** True where some segment would need more buffers than the hardware can chain. */
  get overChained(): boolean {
    const header = this.offload.payload;
    const headerBuffers = this.#bufferAt(header - 1) + 1;
    for (let at = header; at < this.length; at += this.mss) {
      const first = this.#bufferAt(at);
      const last = this.#bufferAt(Math.min(at + this.mss, this.length) - 1);
      const shared = first < headerBuffers ? 1 : 0;
      if (headerBuffers + last - first + 1 - shared > MAX_BUFFERS) return true;
    }
    return false;
  }

  /** The buffer that holds byte `place`. */
  #bufferAt(place: number): number {
    let end = 0;
    for (let index = 0; index < this.buffers; index++) {
      end += this.sizes[index]!;
      if (place < end) return index;
    }
    return this.buffers - 1;
  }
}
