import { VfmigError, type GuestMemory, type MemorySpan, type ReachableMemory } from "@vfmig/core";
import type { PageLog } from "./page-log.ts";

/** What an access at once came to; "messages" where nothing was done, since only messages reach the range. */
export type DmaOutcome = "done" | "fault" | "messages";

/** How a device reaches guest memory. */
export interface DmaMemory {
  /** What came with a file: at once. */
  readonly mapped: GuestMemory;
  /** All of it. */
  readonly reachable: ReachableMemory;
}

/** Bus master access to guest memory: nothing passes while the function may not be master. */
export class Dma {
  readonly #memory: GuestMemory;
  readonly #reachable: ReachableMemory;
  readonly #log: PageLog;
  #master = false;
  #faults = 0;

  constructor({ mapped, reachable }: DmaMemory, log: PageLog) {
    this.#memory = mapped;
    this.#reachable = reachable;
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

  /** The mapping for a read, if it came with a file; else see {@link Dma.without}. Never kept across a turn. */
  readable(iova: number, length: number): MemorySpan | undefined {
    return this.#memory.find(iova, length, "read");
  }

  /** The mapping for a write, as {@link Dma.readable}; its pages count as written. */
  writable(iova: number, length: number): MemorySpan | undefined {
    const span = this.#memory.find(iova, length, "write");
    if (span !== undefined) this.#log.mark(iova, length);
    return span;
  }

  /** What a range comes to for which no mapping was found. Counts the fault. */
  without(iova: number, length: number, access: "read" | "write"): "fault" | "messages" {
    if (this.#reachable.way(iova, length, access) === "messages") return "messages";
    this.#faults++;
    return "fault";
  }

  /** Copies from guest memory at once, across adjacent mappings. */
  read(iova: number, into: Uint8Array): DmaOutcome {
    const span = this.#memory.find(iova, into.length, "read");
    if (span !== undefined) {
      const from = iova - span.base;
      into.set(span.bytes.subarray(from, from + into.length));
      return "done";
    }
    return this.#across(iova, into, "read");
  }

  /** Copies to guest memory, as {@link Dma.read}. */
  write(iova: number, from: Uint8Array): DmaOutcome {
    const span = this.#memory.find(iova, from.length, "write");
    if (span !== undefined) {
      span.bytes.set(from, iova - span.base);
      this.#log.mark(iova, from.length);
      return "done";
    }
    return this.#across(iova, from, "write");
  }

  /**
   * Copies from guest memory wherever it is; false and a fault counted where nothing reaches it, or the
   * client refuses. A promise only where there are messages to wait for; `into` is lent until it settles.
   */
  fetch(iova: number, into: Uint8Array): boolean | Promise<boolean> {
    const outcome = this.read(iova, into);
    if (outcome !== "messages") return outcome === "done";
    return this.#byMessages(iova, into, "read");
  }

  /** Copies to guest memory, as {@link Dma.fetch}; `from` must not change until it settles. */
  store(iova: number, from: Uint8Array): boolean | Promise<boolean> {
    const outcome = this.write(iova, from);
    if (outcome !== "messages") return outcome === "done";
    this.#log.mark(iova, from.length);
    return this.#byMessages(iova, from, "write");
  }

  /** What no single mapping holds. */
  #across(iova: number, bytes: Uint8Array, access: "read" | "write"): DmaOutcome {
    const way = this.#reachable.way(iova, bytes.length, access);
    if (way === "messages") return way;
    if (way === undefined) {
      this.#faults++;
      return "fault";
    }
    this.#memory[access](iova, bytes);
    if (access === "write") this.#log.mark(iova, bytes.length);
    return "done";
  }

  async #byMessages(iova: number, bytes: Uint8Array, access: "read" | "write"): Promise<boolean> {
    try {
      await this.#reachable[access](iova, bytes);
      return true;
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): false {
    if (!VfmigError.is(error)) throw error;
    this.#faults++;
    return false;
  }
}

/** A step of a chain; false ends it. */
export type DmaStep = () => boolean | Promise<boolean>;

/** Takes steps in order until one is false; at once where none has to be waited for. */
export function inOrder(steps: readonly DmaStep[], from = 0): boolean | Promise<boolean> {
  for (let index = from; index < steps.length; index++) {
    const done = steps[index]!();
    if (done === false) return false;
    if (done !== true) return done.then((ok) => ok && inOrder(steps, index + 1));
  }
  return true;
}
