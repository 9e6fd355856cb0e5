/** How much a bare driver's memory has room for. */
export interface LayoutOptions {
  /** IOVA of the memory's first byte. */
  readonly iova: number;
  /** Queue pairs. */
  readonly queues: number;
  /** Buffers of each ring, and bytes of each. */
  readonly slots: number;
  readonly slotBytes: number;
}

/** Bytes kept for each ring: 1,024 of the longest descriptors. */
const RING_BYTES = 0x8000;
const RINGS = 0x8_0000;

/** Where what a bare driver shares with its device stands, in bytes from the start of its memory. */
export class Layout {
  /** The mailbox's two rings and their buffers, a page each. */
  readonly atq: number = 0;
  readonly arq: number = 0x1000;
  readonly atqBuffers: number = 0x1_0000;
  readonly arqBuffers: number = 0x4_0000;
  readonly iova: number;
  /** Bytes in all. */
  readonly size: number;
  readonly #buffers: number;
  readonly #slots: number;
  readonly #slotBytes: number;

  constructor({ iova, queues, slots, slotBytes }: LayoutOptions) {
    this.iova = iova;
    this.#slots = slots;
    this.#slotBytes = slotBytes;
    this.#buffers = RINGS + queues * 2 * RING_BYTES;
    this.size = this.#buffers + queues * 2 * slots * slotBytes;
  }

  txRing(queue: number): number {
    return RINGS + 2 * queue * RING_BYTES;
  }

  rxRing(queue: number): number {
    return this.txRing(queue) + RING_BYTES;
  }

  txBuffer(queue: number, index: number): number {
    return this.#buffers + (2 * queue * this.#slots + index) * this.#slotBytes;
  }

  rxBuffer(queue: number, index: number): number {
    return this.txBuffer(queue, this.#slots + index);
  }
}
