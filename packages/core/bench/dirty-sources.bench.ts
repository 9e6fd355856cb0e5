/**
 * A device's own log, read through `dirtySources: ["device"]`, beside the floor: the same log's bitmap
 * ORed word by word into the report.
 *
 * Run: node --expose-gc packages/core/bench/dirty-sources.bench.ts [--json] [--runs=N]
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import {
  compose,
  defineSubDriver,
  type DmaLoggingFacet,
  type IovaRange,
  type VfioDevice,
} from "@vfmig/core";
import { dirtyRuns, GIB, PAGE, spread } from "./dirty-parts.ts";

const { values: args } = parseArgs({
  options: { json: { type: "boolean" }, runs: { type: "string", default: "11" } },
});
const runs = Number(args.runs);

/** A log of the kind that a kernel keeps: one bitmap over everything, that each report copies from. */
class FlatLog implements DmaLoggingFacet {
  readonly #pages: Uint8Array;

  constructor(pages: Uint8Array) {
    this.#pages = pages;
  }

  async start(): Promise<number> {
    return PAGE;
  }

  async stop(): Promise<void> {}

  async report({ iova, size }: IovaRange, _pageSize: number, bitmap: Uint8Array): Promise<void> {
    const first = Number(iova) / PAGE / 8;
    bitmap.set(this.#pages.subarray(first, first + Number(size) / PAGE / 8));
  }
}

function pagesOf(gib: number, share: number, run: number): Uint8Array {
  const pages = (gib * GIB) / PAGE;
  const bitmap = new Uint8Array(pages / 8);
  for (const first of dirtyRuns(pages, share, run)) {
    for (let page = first; page < first + run; page++) {
      bitmap[page >> 3] = (bitmap[page >> 3] ?? 0) | (1 << (page & 7));
    }
  }
  return bitmap;
}

/** A device that does nothing but keep a log, under a sub-driver that does nothing. */
function loggedDevice(pages: Uint8Array): Promise<VfioDevice> {
  const base = {
    info: {
      identity: { device: "bench", base: { name: "bench", version: "1.0.0" } },
      regions: [],
      irqs: [],
    },
    migration: undefined,
    dmaLogging: new FlatLog(pages),
  } as unknown as VfioDevice;
  const driver = defineSubDriver({
    name: "bench",
    version: "1.0.0",
    apiVersion: "^1.0.0",
    matches: [],
    privileges: [],
    capabilities: {},
    attach: () => ({ close: async () => {} }),
  });
  return compose(base, driver, { dirtySources: ["device"] });
}

interface Row {
  readonly gib: number;
  readonly dirty: string;
  readonly readMs: number;
  readonly floorMs: number;
  readonly ratio: number;
  /** Bytes that one reading allocates. */
  readonly allocated: number;
}

const median = (samples: readonly number[]): number => spread(samples).median;

async function measure(gib: number, share: number, run: number): Promise<Row> {
  const pages = pagesOf(gib, share, run);
  const range = { iova: 0n, size: BigInt(gib * GIB) };
  const device = await loggedDevice(pages);
  const logging = device.dmaLogging;
  if (logging === undefined) throw new Error("no log");
  await logging.start({ pageSize: PAGE, ranges: [range] });
  const bitmap = new Uint8Array(pages.length);
  const from = new Uint32Array(pages.buffer);
  const to = new Uint32Array(bitmap.buffer);
  const read: number[] = [];
  const floor: number[] = [];
  const bytes: number[] = [];
  for (let round = -5; round < runs; round++) {
    bitmap.fill(0);
    const began = performance.now();
    for (let at = 0; at < from.length; at++) to[at] = (to[at] ?? 0) | (from[at] ?? 0);
    const between = performance.now();
    bitmap.fill(0);
    const before = process.memoryUsage();
    const start = performance.now();
    await logging.report(range, PAGE, bitmap);
    const end = performance.now();
    const after = process.memoryUsage();
    if (Buffer.compare(bitmap, pages) !== 0) throw new Error("the report differs from the log");
    if (round < 0) continue;
    read.push(end - start);
    floor.push(between - began);
    bytes.push(after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers);
  }
  const name = share === 0 ? "none" : `${share * 100} %, ${run === 1 ? "single pages" : "runs"}`;
  const [readMs, floorMs] = [median(read), median(floor)];
  return { gib, dirty: name, readMs, floorMs, ratio: readMs / floorMs, allocated: median(bytes) };
}

const rows: Row[] = [];
for (const gib of [16, 1024]) {
  rows.push(await measure(gib, 0, 1));
  for (const share of [0.01, 0.5]) {
    for (const run of [1, 512]) rows.push(await measure(gib, share, run));
  }
}
if (args.json === true) {
  const cpu = cpus()[0]?.model;
  console.log(JSON.stringify({ schemaVersion: 1, benchmark: "dirty-sources", cpu, runs, rows }));
} else {
  console.table(
    rows.map(({ readMs, floorMs, ratio, ...row }) => ({
      ...row,
      "read, ms": Number(readMs.toFixed(3)),
      "floor, ms": Number(floorMs.toFixed(3)),
      ratio: Number(ratio.toFixed(2)),
    })),
  );
}
