import { checkRegionAccess, type Logger, type RegionInfo } from "@vfmig/core";
import { errnoOf, type KernelCalls } from "../kernel-calls.ts";

/**
 * Reads and writes of regions by `pread` and `pwrite`, which the kernel splits into aligned accesses of
 * the device's widths. Allocates nothing.
 */
export class RegionAccess {
  readonly #calls: KernelCalls;
  readonly #fd: number;
  readonly #regions: readonly RegionInfo[];
  readonly #offsets: readonly number[];
  readonly #logger: Logger;
  #silent = 0;
  #reads = 0;
  #writes = 0;

  constructor(
    calls: KernelCalls,
    fd: number,
    regions: readonly RegionInfo[],
    offsets: readonly number[],
    logger: Logger,
  ) {
    this.#calls = calls;
    this.#fd = fd;
    this.#regions = regions;
    this.#offsets = offsets;
    this.#logger = logger;
  }

  /** Accesses that passed this process, and those that the device did not answer. */
  get counts(): { readonly reads: number; readonly writes: number; readonly unanswered: number } {
    return { reads: this.#reads, writes: this.#writes, unanswered: this.#silent };
  }

  read(index: number, offset: number, into: Uint8Array): void {
    checkRegionAccess(this.#regions, index, offset, into.length, "read", "base");
    this.#reads += 1;
    const { io } = this.#calls;
    const base = (this.#offsets[index] ?? 0) + offset;
    try {
      for (let at = 0; at < into.length;) {
        const count = io.pread(this.#fd, into, at, into.length - at, base + at);
        if (count === 0) return void into.fill(0xff, at);
        at += count;
      }
    } catch (error) {
      this.#unanswered(error, index, offset, "pread");
      // What a bus gives where nobody answers.
      into.fill(0xff);
    }
  }

  write(index: number, offset: number, from: Uint8Array): void {
    checkRegionAccess(this.#regions, index, offset, from.length, "write", "base");
    this.#writes += 1;
    const { io } = this.#calls;
    const base = (this.#offsets[index] ?? 0) + offset;
    try {
      for (let at = 0; at < from.length;) {
        const count = io.pwrite(this.#fd, from, at, from.length - at, base + at);
        if (count === 0) return;
        at += count;
      }
    } catch (error) {
      this.#unanswered(error, index, offset, "pwrite");
    }
  }

  /**
   * EIO: memory or IO space is switched off in the command register, or the device is in reset. A guest
   * does that as it likes, and gets what hardware gives it.
   */
  #unanswered(error: unknown, index: number, offset: number, call: string): void {
    if (errnoOf(error) !== "EIO") {
      throw this.#calls.named(call, error, ` at offset ${offset} of region ${index}`);
    }
    this.#silent += 1;
    if (this.#silent > 1) return;
    this.#logger.warn(
      `${this.#calls.device} does not answer at offset ${offset} of region ${index}: its memory is switched off, or it is in reset. Reads give ones and writes are lost, as on a bus.`,
    );
  }
}
