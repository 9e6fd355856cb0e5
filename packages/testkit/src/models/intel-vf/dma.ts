import { VfmigError, type GuestMemory, type MemorySpan } from "@vfmig/core";
import type { PageLog } from "./page-log.ts";

/** Bus master access to guest memory: nothing passes while the function may not be master. */
export class Dma {
  readonly #memory: GuestMemory;
  readonly #log: PageLog;
  #master = false;
  #faults = 0;

  constructor(memory: GuestMemory, log: PageLog) {
    this.#memory = memory;
    this.#log = log;
  }

  get master(): boolean {
    return this.#master;
  }

  set master(on: boolean) {
    this.#master = on;
  }

  /** Accesses that no mapping allowed. */
  get faults(): number {
    return this.#faults;
  }

  /** The mapping for a read, or undefined and a fault counted. Never kept across a turn. */
  readable(iova: number, length: number): MemorySpan | undefined {
    const span = this.#memory.find(iova, length, "read");
    if (span === undefined) this.#faults++;
    return span;
  }

  /** The mapping for a write, whose pages count as written. */
  writable(iova: number, length: number): MemorySpan | undefined {
    const span = this.#memory.find(iova, length, "write");
    if (span === undefined) this.#faults++;
    else this.#log.mark(iova, length);
    return span;
  }

  /** Copies from guest memory, across adjacent mappings; false and a fault counted where there is a hole. */
  read(iova: number, into: Uint8Array): boolean {
    const span = this.#memory.find(iova, into.length, "read");
    if (span !== undefined) {
      const from = iova - span.base;
      into.set(span.bytes.subarray(from, from + into.length));
      return true;
    }
    return this.#attempt(() => this.#memory.read(iova, into));
  }

  /** Copies to guest memory, as {@link Dma.read}. */
  write(iova: number, from: Uint8Array): boolean {
    const span = this.#memory.find(iova, from.length, "write");
    if (span !== undefined) span.bytes.set(from, iova - span.base);
    else if (!this.#attempt(() => this.#memory.write(iova, from))) return false;
    this.#log.mark(iova, from.length);
    return true;
  }

  #attempt(access: () => void): boolean {
    try {
      access();
      return true;
    } catch (error) {
      if (!VfmigError.is(error)) throw error;
      this.#faults++;
      return false;
    }
  }
}
