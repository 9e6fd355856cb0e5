import type { DmaBuffer } from "@vfmig/core";
import { RX_DESCRIPTOR_SIZE } from "../../descriptors/rx.ts";
import { TX_DESCRIPTOR_SIZE } from "../../descriptors/tx.ts";

/** Longest ring that a guest can configure, in descriptors. */
export const MAX_RING = 4096;

const TX_BYTES = MAX_RING * TX_DESCRIPTOR_SIZE;
const RX_BYTES = MAX_RING * RX_DESCRIPTOR_SIZE;

/** Private rings of one queue pair, each of the greatest length. */
export interface RingMemory {
  readonly tx: { readonly iova: number; readonly data: DataView };
  readonly rx: { readonly iova: number; readonly data: DataView };
}

/**
 * Lends private rings. A ring that the device may still use is never freed, only lent again, so a
 * guest that configures its queues over and over costs no more memory than its queues twice.
 */
export class RingPool {
  readonly #allocate: (bytes: number) => DmaBuffer;
  readonly #buffers: DmaBuffer[] = [];
  readonly #free: RingMemory[] = [];

  constructor(allocate: (bytes: number) => DmaBuffer) {
    this.#allocate = allocate;
  }

  /** Sets rings for `pairs` pairs aside, so that a base has mapped them before they are needed. */
  reserve(pairs: number): void {
    for (let pair = 0; pair < pairs; pair++) {
      this.#free.push(this.#make());
    }
  }

  /** Zeroed rings. */
  lend(): RingMemory {
    const known = this.#free.shift();
    if (known !== undefined) {
      clear(known.tx.data);
      clear(known.rx.data);
      return known;
    }
    return this.#make();
  }

  #make(): RingMemory {
    const buffer = this.#allocate(TX_BYTES + RX_BYTES);
    this.#buffers.push(buffer);
    const { buffer: store, byteOffset } = buffer.data;
    return {
      tx: { iova: buffer.iova, data: new DataView(store, byteOffset, TX_BYTES) },
      rx: {
        iova: buffer.iova + TX_BYTES,
        data: new DataView(store, byteOffset + TX_BYTES, RX_BYTES),
      },
    };
  }

  giveBack(memory: RingMemory): void {
    this.#free.push(memory);
  }

  close(): void {
    for (const buffer of this.#buffers.splice(0)) {
      buffer[Symbol.dispose]();
    }
    this.#free.length = 0;
  }
}

function clear(data: DataView): void {
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).fill(0);
}
