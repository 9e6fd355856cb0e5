import type { DmaMapping, SharedMemory } from "../device/dma.ts";
import { DMA_PAGE_SIZE as PAGE } from "../memory/dma-map.ts";

type Access = "read" | "write";

/** What becomes of a stretch of memory; `initial` are the contents before the device's first look. */
export type MemoryReport = (
  who: "initial" | "guest" | "device",
  iova: number,
  data: Uint8Array,
) => void;

interface Watched {
  readonly start: number;
  readonly end: number;
  readonly memory: SharedMemory;
}

interface Page {
  readonly iova: number;
  readonly known: Uint8Array;
  readonly mapping: Watched;
}

interface Stretch {
  from: number;
  to: number;
}

/** Descriptors have 16, 32 or 64 bytes and stand at multiples of 16. */
const DESCRIPTOR = { least: 16, most: 64 } as const;
/** Differences closer than this many bytes are told as one: a report has a head of its own. */
const GAP = 16;
/** Pages that are compared at each write of the guest's. */
const RING_PAGES = 512;

/**
 * Knows what was in the pages that a device has used, and so tells who changed which byte: what differs
 * when the device reaches for it is the guest's, what differs after the device's turn is the device's.
 *
 * It sees what layers of this process reach for; hardware that reads and writes by itself is not seen.
 */
export class MemoryWatch {
  readonly #report: MemoryReport;
  readonly #pageLimit: number;
  readonly #onFull: () => void;
  readonly #mappings = new Set<Watched>();
  readonly #pages = new Map<number, Page>();
  readonly #rings = new Set<Page>();
  /** Where the device may be writing, by page. */
  readonly #open = new Map<number, Stretch>();
  #on = true;
  #due = false;

  constructor(report: MemoryReport, pageLimit: number, onFull: () => void) {
    this.#report = report;
    this.#pageLimit = pageLimit;
    this.#onFull = onFull;
  }

  /** The mapping as the device is to get it: one that tells of each use. */
  watch(mapping: DmaMapping): DmaMapping {
    const memory = mapping.memory;
    if (memory === undefined) return mapping;
    const start = Number(mapping.iova);
    const watched: Watched = { start, end: start + Number(mapping.size), memory };
    this.#mappings.add(watched);
    let satisfied = memory.onUse === undefined;
    const onUse = (iova: number, length: number, access: Access): boolean => {
      if (!satisfied) satisfied = memory.onUse?.(iova, length, access) !== false;
      if (!this.#on) return satisfied;
      this.#use(watched, iova, length, access);
      return false;
    };
    const pagewise = {
      get bytes() {
        return memory.bytes;
      },
      fd: memory.fd,
      fdOffset: memory.fdOffset,
      address: memory.address,
      onUse,
      pagewise: true,
    };
    return { ...mapping, memory: pagewise };
  }

  /** What the device has done up to here is told, and then the mapping forgotten. */
  forget(iova: number): void {
    this.endTurn();
    for (const watched of this.#mappings) {
      if (watched.start !== iova) continue;
      this.#mappings.delete(watched);
      for (const [number, page] of this.#pages) {
        if (page.mapping !== watched) continue;
        this.#pages.delete(number);
        this.#rings.delete(page);
      }
    }
  }

  /** The device's turn is over: what changed in the stretches that it had open is its doing. */
  endTurn(): void {
    if (this.#open.size === 0) return;
    for (const [page, open] of this.#open) this.#settle(open, page);
    this.#open.clear();
  }

  /**
   * Looks for what the guest put into rings, and at what new descriptors point to; to be called when it
   * rings a doorbell. Later would be too late: another device may look there earlier than this one.
   */
  lookAtRings(): void {
    for (const page of this.#rings) this.#compare(page, page.iova, PAGE, "guest", this.#lookBehind);
  }

  /** The user itself says what it wrote; `data` is in the memory already. */
  note(iova: number, data: Uint8Array): void {
    this.endTurn();
    this.#report("guest", iova, data);
    for (let at = iova; at < iova + data.length;) {
      const stop = Math.min(iova + data.length, pageOf(at) + PAGE);
      const page = this.#pages.get(pageOf(at));
      page?.known.set(data.subarray(at - iova, stop - iova), at - page.iova);
      at = stop;
    }
  }

  /** Watches no more; the device's views stay what they are. */
  stop(): void {
    this.#on = false;
    this.#mappings.clear();
    this.#pages.clear();
    this.#rings.clear();
    this.#open.clear();
  }

  #use(mapping: Watched, iova: number, length: number, access: Access): void {
    for (let at = pageOf(iova); at < iova + length && this.#on; at += PAGE) {
      const page = this.#pages.get(at) ?? this.#firstLook(mapping, at);
      if (page === undefined) return;
      const open = this.#open.get(at);
      if (open !== undefined) this.#settle(open, at);
      // Where less than a descriptor is asked for the view goes on to the end of the page, and so may the use.
      const from = Math.max(at, iova);
      const to = length < DESCRIPTOR.least ? at + PAGE : Math.min(at + PAGE, iova + length);
      this.#compare(page, from, to - from, "guest");
      if (access === "write") this.#openStretch(at, from, to);
      else if (isDescriptor(iova, length) && this.#rings.size < RING_PAGES) this.#rings.add(page);
    }
  }

  #openStretch(page: number, from: number, to: number): void {
    const open = this.#open.get(page);
    if (open === undefined) this.#open.set(page, { from, to });
    else Object.assign(open, { from: Math.min(open.from, from), to: Math.max(open.to, to) });
    if (this.#due) return;
    this.#due = true;
    // Before anything else of this process runs; whoever runs in another waits for an interrupt.
    queueMicrotask(() => {
      this.#due = false;
      this.endTurn();
    });
  }

  #firstLook(mapping: Watched, iova: number): Page | undefined {
    const { start, end, memory } = mapping;
    if (iova < start || iova + PAGE > end) return undefined;
    if (this.#pages.size >= this.#pageLimit) {
      this.#onFull();
      return undefined;
    }
    const known = memory.bytes.slice(iova - start, iova - start + PAGE);
    const page: Page = { iova, known, mapping };
    this.#pages.set(iova, page);
    tellRuns(known, undefined, 0, PAGE, (from, to) =>
      this.#report("initial", iova + from, known.subarray(from, to)),
    );
    return page;
  }

  /** What changed in an open stretch is the device's. */
  #settle({ from, to }: Stretch, at: number): void {
    const page = this.#pages.get(at);
    if (page !== undefined) this.#compare(page, from, to - from, "device");
  }

  #compare(
    page: Page,
    iova: number,
    length: number,
    who: "guest" | "device",
    then?: (page: Page, from: number, to: number) => void,
  ): void {
    const { start, memory } = page.mapping;
    const { bytes } = memory;
    const at = page.iova - start;
    // Memory that its owner has unmapped meanwhile is detached.
    if (bytes.length < at + PAGE) return;
    const offset = iova - page.iova;
    const now = bytes.subarray(at, at + PAGE);
    tellRuns(now, page.known, offset, offset + length, (from, to) => {
      const data = now.slice(from, to);
      page.known.set(data, from);
      this.#report(who, page.iova + from, data);
      then?.(page, from, to);
    });
  }

  /** Looks into known pages whose address stands in `[from, to)`, low or high half first. */
  readonly #lookBehind = ({ known }: Page, from: number, to: number): void => {
    const words = new DataView(known.buffer, known.byteOffset, PAGE);
    for (let at = from - (from % 8); at < to; at += 8) {
      const first = words.getUint32(at, true);
      const second = words.getUint32(at + 4, true);
      for (const iova of [second * 2 ** 32 + first, first * 2 ** 32 + second]) {
        const page = this.#pages.get(pageOf(iova));
        if (page !== undefined) this.#compare(page, page.iova, PAGE, "guest");
      }
    }
  };
}

function isDescriptor(iova: number, length: number): boolean {
  return length >= DESCRIPTOR.least && length <= DESCRIPTOR.most && iova % DESCRIPTOR.least === 0;
}

function pageOf(iova: number): number {
  return iova - (iova % PAGE);
}

/** Tells each run of bytes of `[from, to)` in which `now` is not `before`, which is zeros if it is absent. */
function tellRuns(
  now: Uint8Array,
  before: Uint8Array | undefined,
  from: number,
  to: number,
  tell: (from: number, to: number) => void,
): void {
  let start = -1;
  let last = -1;
  if (
    before !== undefined &&
    Buffer.compare(now.subarray(from, to), before.subarray(from, to)) === 0
  ) {
    return;
  }
  for (let at = from; at < to; at++) {
    if (now[at] === (before === undefined ? 0 : before[at])) continue;
    if (start >= 0 && at - last > GAP) {
      tell(start, last + 1);
      start = -1;
    }
    if (start < 0) start = at;
    last = at;
  }
  if (start >= 0) tell(start, last + 1);
}
