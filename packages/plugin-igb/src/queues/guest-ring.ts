import type { GuestMemory, MemorySpan } from "@vfmig/core";
import { DESCRIPTOR_SIZE } from "./codecs.ts";

/** What the slots of a guest's own ring hold, for looking only; a slot out of reach holds zeros. */
export class GuestRing {
  readonly base: number;
  /** Descriptors. */
  readonly count: number;
  readonly head: number;
  readonly tail: number;
  readonly #memory: GuestMemory;
  readonly #nothing: DataView = new DataView(new ArrayBuffer(DESCRIPTOR_SIZE));
  #span: MemorySpan | undefined;
  #at = 0;

  /** @param settings - as the device has them at the time of the look */
  constructor(
    memory: GuestMemory,
    settings: {
      readonly base: number;
      readonly count: number;
      readonly head: number;
      readonly tail: number;
    },
  ) {
    this.#memory = memory;
    this.base = settings.base;
    this.count = settings.count;
    this.head = settings.head;
    this.tail = settings.tail;
  }

  /** Slots that the device has had, and that were not posted again: those behind the tail, to the head. */
  get behind(): number {
    return (this.head - this.tail - 1 + this.count) % this.count;
  }

  /** The slot `steps` behind `slot`. */
  before(slot: number, steps = 1): number {
    return (slot - steps + this.count) % this.count;
  }

  /** A dword (0 to 3) of a slot's descriptor. */
  dword(slot: number, dword: number): number {
    const data = this.#descriptor(slot);
    return data.getUint32(this.#at + 4 * dword, true);
  }

  /** A copy of a slot's descriptor: its dwords. */
  copy(slot: number): [number, number, number, number] {
    return [this.dword(slot, 0), this.dword(slot, 1), this.dword(slot, 2), this.dword(slot, 3)];
  }

  #descriptor(slot: number): DataView {
    const at = this.base + slot * DESCRIPTOR_SIZE;
    const known = this.#span;
    if (known === undefined || at < known.base || at + DESCRIPTOR_SIZE > known.base + known.size) {
      this.#span = this.#memory.find(at, DESCRIPTOR_SIZE, "read");
    }
    this.#at = this.#span === undefined ? 0 : at - this.#span.base;
    return this.#span?.data ?? this.#nothing;
  }
}
