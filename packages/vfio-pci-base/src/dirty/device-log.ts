import type { DmaLoggingFacet, DmaLoggingStart, IovaRange } from "@vfmig/core";
import type { Features } from "../device/features.ts";
import type { MappingObserver } from "../dma/guest-mappings.ts";
import { baseFault } from "../kernel-calls.ts";
import { FEATURE } from "../uapi/commands.ts";
import {
  FEATURE_HEAD,
  LOGGING,
  LOGGING_RANGES_MAX,
  writeLoggingControl,
  writeLoggingReport,
} from "../uapi/feature.ts";
import { wide } from "../uapi/struct.ts";
import { checkLogRequest, clip, type LogRequest } from "./log-request.ts";
import { eachRun, PAGES_AT_ONCE, setPages } from "./bitmap.ts";
import { atMost, covers, mergeRanges } from "./ranges.ts";

/** Beneath this no kernel reports. */
const PAGE_MIN = 4096;

/**
 * The device's own log of its writes, as a variant driver keeps it. Its ranges are fixed at the start:
 * memory that is mapped later counts as dirty each time that it is asked for.
 */
export class DeviceLog implements DmaLoggingFacet, MappingObserver {
  readonly #features: Features;
  readonly #device: string;
  readonly #mapped: () => readonly IovaRange[];
  #ranges: readonly IovaRange[] | undefined;
  #broken = false;
  #uncovered: IovaRange[] = [];

  /** @param mapped - what the device can reach now */
  constructor(features: Features, device: string, mapped: () => readonly IovaRange[]) {
    this.#features = features;
    this.#device = device;
    this.#mapped = mapped;
  }

  async start(request: DmaLoggingStart): Promise<number> {
    if (this.#ranges !== undefined)
      throw stateFault(this.#device, "is on already; stop it first", "EBUSY");
    const pageSize = Math.max(PAGE_MIN, request.pageSize);
    const wanted = request.ranges.length === 0 ? this.#mapped() : request.ranges;
    const ranges = atMost(mergeRanges(wanted, BigInt(pageSize)), LOGGING_RANGES_MAX);
    if (ranges.length === 0) {
      // Nothing is mapped, so there is nothing to log; what comes later is uncovered.
      this.#begin([]);
      return pageSize;
    }
    const control = this.#features.request(FEATURE.DMA_LOGGING_START, "set", LOGGING.CONTROL_BYTES);
    const list = writeLoggingControl(control, { pageSize, ranges });
    const at = FEATURE_HEAD.DATA + LOGGING.RANGES_POINTER;
    await this.#features.runLater(control, [{ at, memory: list }]);
    this.#begin(ranges);
    return wide(control.view, FEATURE_HEAD.DATA);
  }

  async stop(): Promise<void> {
    const ranges = this.#ranges;
    if (ranges === undefined) return;
    this.#ranges = undefined;
    if (ranges.length === 0) return;
    try {
      await this.#features.runLater(this.#features.request(FEATURE.DMA_LOGGING_STOP, "set", 0));
    } catch (error) {
      // Of a log that was lost, in a reset for instance, a driver may know nothing any more.
      if (!this.#broken) throw error;
    }
  }

  async report(range: IovaRange, pageSize: number, bitmap: Uint8Array): Promise<void> {
    const ranges = this.#ranges;
    if (ranges === undefined)
      throw stateFault(this.#device, "is off, so that everything may be dirty", "EINVAL");
    const request = checkLogRequest(this.#device, range, pageSize, bitmap);
    if (this.#broken) return setPages(bitmap, request.first, pageSize, request.first, request.end);
    try {
      for (const each of ranges) {
        // oxlint-disable-next-line no-await-in-loop -- one log, one reader
        await this.#read(each, request);
      }
    } catch (error) {
      // The log may have lost what it had; from here on nothing is known to be clean.
      this.#broken = true;
      throw error;
    }
    for (const each of this.#uncovered) {
      const part = clip(request, each);
      if (part !== undefined) setPages(bitmap, request.first, pageSize, part.from, part.to);
    }
  }

  mapped(range: IovaRange): void {
    if (this.#ranges === undefined || covers(this.#ranges, range)) return;
    this.#uncovered.push({ iova: range.iova, size: range.size });
  }

  unmapping(): void {
    // What is logged stays logged, and what was never covered stays dirty until the log ends.
  }

  /** After a reset of the device: its log is gone. */
  afterReset(): void {
    this.#broken = this.#ranges !== undefined;
  }

  #begin(ranges: readonly IovaRange[]): void {
    this.#ranges = ranges;
    this.#broken = false;
    this.#uncovered = [];
  }

  async #read(logged: IovaRange, request: LogRequest): Promise<void> {
    const part = clip(request, logged);
    if (part === undefined) return;
    // Asked at the kernel's own grain, since the part may begin in the middle of a wider page.
    const grain = PAGE_MIN;
    const from = Math.floor(part.from / grain) * grain;
    const step = PAGES_AT_ONCE * grain;
    for (let at = from; at < part.to; at += step) {
      const pages = Math.ceil((Math.min(part.to, at + step) - at) / grain);
      const bits = new Uint8Array(Math.ceil(pages / 64) * 8);
      const report = this.#features.request(
        FEATURE.DMA_LOGGING_REPORT,
        "get",
        LOGGING.REPORT_BYTES,
      );
      writeLoggingReport(report, { iova: BigInt(at), size: BigInt(pages * grain) }, grain);
      const pointer = { at: FEATURE_HEAD.DATA + LOGGING.BITMAP_POINTER, memory: bits };
      // oxlint-disable-next-line no-await-in-loop -- one log, one reader
      await this.#features.runLater(report, [pointer]);
      const start = at;
      eachRun(bits, pages, (first, end) => {
        const low = Math.max(request.first, start + first * grain);
        const high = Math.min(request.end, start + end * grain);
        setPages(request.bitmap, request.first, request.pageSize, low, high);
      });
    }
  }
}

/** Undefined where the device's driver keeps no log. */
export function createDeviceLog(
  features: Features,
  device: string,
  mapped: () => readonly IovaRange[],
): DeviceLog | undefined {
  const complete =
    features.has(FEATURE.DMA_LOGGING_START, "set") &&
    features.has(FEATURE.DMA_LOGGING_STOP, "set") &&
    features.has(FEATURE.DMA_LOGGING_REPORT, "get");
  return complete ? new DeviceLog(features, device, mapped) : undefined;
}

export function stateFault(device: string, why: string, errno: string): Error {
  return baseFault("ERR_VFMIG_DMA_LOGGING_STATE", `The log of the writes of ${device} ${why}.`, {
    device,
    errno,
  });
}
