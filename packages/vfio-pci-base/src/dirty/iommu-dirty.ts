import type { DmaLoggingFacet, DmaLoggingStart, IovaRange } from "@vfmig/core";
import type { MappingObserver } from "../dma/guest-mappings.ts";
import type { KernelCalls } from "../kernel-calls.ts";
import { IOMMUFD } from "../uapi/commands.ts";
import { dirtyBitmapRequest, GET_DIRTY, SET_DIRTY } from "../uapi/iommufd.ts";
import { sized } from "../uapi/struct.ts";
import { eachRun, PAGES_AT_ONCE, setPages } from "./bitmap.ts";
import { stateFault } from "./device-log.ts";
import { checkLogRequest, clip, type LogRequest } from "./log-request.ts";

/** What an {@link IommuDirty} works on. */
export interface DirtyTable {
  readonly iommufd: number;
  /** The page table that logs. */
  readonly hwpt: number;
  /** The IOMMU's page size in bytes. */
  readonly pageSize: number;
  /** What the kernel has mapped now, sorted. */
  mapped(): readonly IovaRange[];
}

/**
 * What the IOMMU logs of the device's writes. It knows mapped memory only: a range that was unmapped while
 * the log was on counts as dirty the next time that it is asked for.
 */
export class IommuDirty implements DmaLoggingFacet, MappingObserver {
  readonly #calls: KernelCalls;
  readonly #table: DirtyTable;
  #on = false;
  #broken = false;
  #gone: IovaRange[] = [];

  constructor(calls: KernelCalls, table: DirtyTable) {
    this.#calls = calls;
    this.#table = table;
  }

  /** Logs all memory, whatever `ranges` says, at the IOMMU's page size. */
  async start(_request: DmaLoggingStart): Promise<number> {
    if (this.#on) throw stateFault(this.#calls.device, "is on already; stop it first", "EBUSY");
    await this.#switch(true);
    this.#on = true;
    this.#broken = false;
    this.#gone = [];
    return this.#table.pageSize;
  }

  async stop(): Promise<void> {
    if (!this.#on) return;
    this.#on = false;
    await this.#switch(false);
  }

  async report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void> {
    if (!this.#on) {
      throw stateFault(this.#calls.device, "is off, so that everything may be dirty", "EINVAL");
    }
    const request = checkLogRequest(this.#calls.device, range, pageSize, bitmap);
    if (this.#broken) return setPages(bitmap, request.first, pageSize, request.first, request.end);
    try {
      for (const each of this.#table.mapped()) {
        // oxlint-disable-next-line no-await-in-loop -- one log, one reader
        await this.#read(each, request);
      }
    } catch (error) {
      this.#broken = true;
      throw error;
    }
    this.#reportGone(request);
  }

  mapped(): void {
    // The table logs whatever is mapped in it.
  }

  unmapping(range: IovaRange): void {
    if (this.#on) this.#gone.push({ iova: range.iova, size: range.size });
  }

  #reportGone(request: LogRequest): void {
    const left: IovaRange[] = [];
    for (const each of this.#gone) {
      const part = clip(request, each);
      if (part === undefined) {
        left.push(each);
        continue;
      }
      setPages(request.bitmap, request.first, request.pageSize, part.from, part.to);
      const start = Number(each.iova);
      const end = start + Number(each.size);
      // What this report did not ask for is still to be told.
      if (start < part.from) left.push({ iova: each.iova, size: BigInt(part.from - start) });
      if (part.to < end) left.push({ iova: BigInt(part.to), size: BigInt(end - part.to) });
    }
    this.#gone = left;
  }

  async #read(mapping: IovaRange, request: LogRequest): Promise<void> {
    const part = clip(request, mapping);
    if (part === undefined) return;
    const { iommufd, hwpt, pageSize: grain } = this.#table;
    // Whole pages of the IOMMU; a mapping consists of such, so this never leaves it.
    const from = Math.floor(part.from / grain) * grain;
    const step = PAGES_AT_ONCE * grain;
    for (let at = from; at < part.to; at += step) {
      const pages = Math.ceil((Math.min(part.to, at + step) - at) / grain);
      const bits = new Uint8Array(Math.ceil(pages / 64) * 8);
      const ask = dirtyBitmapRequest(hwpt, at, pages * grain, grain);
      const pointers = [{ at: GET_DIRTY.POINTER, memory: bits }];
      // oxlint-disable-next-line no-await-in-loop -- one log, one reader
      await this.#calls.later(iommufd, IOMMUFD.HWPT_GET_DIRTY_BITMAP, ask.bytes, pointers);
      const start = at;
      eachRun(bits, pages, (first, end) => {
        const low = Math.max(request.first, start + first * grain);
        const high = Math.min(request.end, start + end * grain);
        setPages(request.bitmap, request.first, request.pageSize, low, high);
      });
    }
  }

  async #switch(on: boolean): Promise<void> {
    const { iommufd, hwpt } = this.#table;
    const request = sized(SET_DIRTY.BYTES);
    request.view.setUint32(SET_DIRTY.FLAGS, on ? SET_DIRTY.ENABLE : 0, true);
    request.view.setUint32(SET_DIRTY.HWPT, hwpt, true);
    await this.#calls.later(iommufd, IOMMUFD.HWPT_SET_DIRTY_TRACKING, request.bytes);
  }
}
