import type { IovaRange } from "../device/dma.ts";
import type { VfioDevice } from "../device/vfio-device.ts";
import { VfmigError } from "../errors/vfmig-error.ts";
import type { DirtySink, DirtyTrackingOps } from "../sub-driver/facets.ts";
import type { DmaLoggingFacet } from "./dma-logging-facet.ts";
import { giveWords } from "./word-bits.ts";

/**
 * Who can say what a device has written: its `driver` (the sub-driver, such as by shadow queues), the
 * `device` itself where it keeps a log, and the `iommu`, which sees the device's writes but not those
 * that a process makes in its place.
 */
export type DirtySource = "driver" | "device" | "iommu";

export const DIRTY_SOURCES: readonly DirtySource[] = ["driver", "device", "iommu"];

/**
 * What is asked for as one: a page is dirty where any source says so.
 *
 * @param wanted - default: the driver's where it has one
 * @returns undefined where nothing is wanted and the driver has none
 * @throws VfmigError `ERR_VFMIG_DIRTY_SOURCE` for a source that this device does not have
 */
export function joinDirtySources(
  driver: DirtyTrackingOps | undefined,
  base: Pick<VfioDevice, "dmaLogging" | "iommuDirty">,
  wanted: readonly DirtySource[] | undefined,
): DirtyTrackingOps | undefined {
  if (wanted === undefined) return driver;
  const { dmaLogging, iommuDirty } = base;
  const present: Readonly<Record<DirtySource, DirtyTrackingOps | undefined>> = {
    driver,
    device: dmaLogging && new LoggedWrites(dmaLogging),
    iommu: iommuDirty && new LoggedWrites(iommuDirty),
  };
  return new DirtyUnion(wanted.map((source) => present[source] ?? absent(source, present)));
}

function absent(
  source: DirtySource,
  present: Readonly<Record<DirtySource, DirtyTrackingOps | undefined>>,
): never {
  const there = DIRTY_SOURCES.filter((name) => present[name] !== undefined);
  throw new VfmigError(
    "ERR_VFMIG_DIRTY_SOURCE",
    `Dirty pages are wanted from "${source}", which keeps no log on this device; ` +
      `${there.length === 0 ? "nothing here does" : `these do: ${there.join(", ")}`}. Name only such in dirtySources.`,
    { layer: "core", details: { source, present: there } },
  );
}

/** All sources run or none does. */
class DirtyUnion implements DirtyTrackingOps {
  readonly #sources: readonly DirtyTrackingOps[];

  constructor(sources: readonly DirtyTrackingOps[]) {
    this.#sources = sources;
  }

  /** The coarsest page that any of them grants. */
  async start(ranges: readonly IovaRange[], pageSize: number): Promise<number> {
    const sizes: number[] = [];
    try {
      for (const source of this.#sources) sizes.push(await source.start(ranges, pageSize));
    } catch (error) {
      await this.#stop(sizes.length).catch(() => {});
      throw error;
    }
    return Math.max(...sizes);
  }

  async stop(): Promise<void> {
    await this.#stop(this.#sources.length);
  }

  /** A source that fails keeps no other from being stopped. */
  async #stop(count: number): Promise<void> {
    const stops = this.#sources.slice(0, count).map((source) => source.stop());
    const failed = (await Promise.allSettled(stops)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  async readAndClear(range: IovaRange, sink: DirtySink): Promise<void> {
    for (const source of this.#sources) await source.readAndClear(range, sink);
  }
}

/** Bytes of one reading of a log: 2^20 pages, which are 4 GiB of 4 KiB pages. */
const WINDOW_BYTES = 128 * 1024;

/** A log that answers with a bitmap, as a source. Reads a window at a time, always into the same memory. */
class LoggedWrites implements DirtyTrackingOps {
  readonly #log: DmaLoggingFacet;
  #pageSize = 0;
  /** All zeros between readings. */
  #words: Uint32Array = new Uint32Array(0);

  constructor(log: DmaLoggingFacet) {
    this.#log = log;
  }

  async start(ranges: readonly IovaRange[], pageSize: number): Promise<number> {
    this.#pageSize = await this.#log.start({ ranges, pageSize });
    // Anew each time: an answer of the log before, which comes after all, writes into memory of its own.
    this.#words = new Uint32Array(WINDOW_BYTES / 4);
    return this.#pageSize;
  }

  stop(): Promise<void> {
    return this.#log.stop();
  }

  async readAndClear(range: IovaRange, sink: DirtySink): Promise<void> {
    const [pageSize, words] = [this.#pageSize, this.#words];
    const bytes = new Uint8Array(words.buffer);
    const start = Number(range.iova);
    const pages = Math.ceil(Number(range.size) / pageSize);
    for (let first = 0; first < pages; first += WINDOW_BYTES * 8) {
      const count = Math.min(pages - first, WINDOW_BYTES * 8);
      const iova = start + first * pageSize;
      const size = Math.min(count * pageSize, start + Number(range.size) - iova);
      const bitmap = bytes.subarray(0, Math.ceil(count / 8));
      await this.#log.report({ iova: BigInt(iova), size: BigInt(size) }, pageSize, bitmap);
      giveWords(sink, iova, pageSize, words, count);
      bitmap.fill(0);
    }
  }
}
