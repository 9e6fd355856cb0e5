/**
 * Reading the dirty bitmap beside the floor: one copy and clear of a flat bitmap of the same size,
 * measured in turn with it. Also the cost of one `set()`.
 *
 * Run: node packages/core/bench/dirty-bitmap.bench.ts [--json] [--runs=N]
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { DirtyBitmap } from "@vfmig/core";
import { createRandom, dirtyRuns, GIB, PAGE, type Spread, spread } from "./dirty-parts.ts";

const { values: args } = parseArgs({
  options: { json: { type: "boolean" }, runs: { type: "string", default: "11" } },
});
const runs = Number(args.runs);

interface ReadResult {
  readonly memoryGib: number;
  readonly dirtyPercent: number;
  readonly pattern: string;
  readonly dirtyPages: number;
  readonly readMs: Spread;
  readonly floorMs: Spread;
  readonly ratio: number;
}

function milliseconds(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Marks about `share` of `pages`: alone, or in runs of 512 (2 MiB, a huge page). */
function mark(dirty: DirtyBitmap, pages: number, share: number, clustered: boolean): void {
  const run = clustered ? 512 : 1;
  for (const page of dirtyRuns(pages, share, run)) dirty.set(page * PAGE, run * PAGE);
}

function flatten(dirty: DirtyBitmap, pages: number): Uint8Array {
  const flat = new Uint8Array(pages / 8);
  dirty.clone().readAndClear({ iova: 0, size: pages * PAGE }, PAGE, flat);
  return flat;
}

function measureRead(memoryGib: number, share: number, clustered: boolean): ReadResult {
  const pages = (memoryGib * GIB) / PAGE;
  const range = { iova: 0n, size: BigInt(memoryGib * GIB) };
  const source = new DirtyBitmap();
  mark(source, pages, share, clustered);
  const saved = flatten(source, pages);
  const flat = new Uint8Array(pages / 8);
  const wire = new Uint8Array(pages / 8);
  const dirty = new DirtyBitmap();
  const read: number[] = [];
  const floor: number[] = [];
  const warmUps = memoryGib > 100 ? 3 : 60;
  for (let i = -warmUps; i < runs; i++) {
    flat.set(saved);
    wire.fill(0);
    const floorMs = milliseconds(() => {
      wire.set(flat);
      flat.fill(0);
    });
    dirty.merge(source);
    wire.fill(0);
    const readMs = milliseconds(() => dirty.readAndClear(range, PAGE, wire));
    if (Buffer.compare(wire, saved) !== 0)
      throw new Error("the report differs from the flat bitmap");
    if (i >= 0) {
      read.push(readMs);
      floor.push(floorMs);
    }
  }
  const readMs = spread(read);
  const floorMs = spread(floor);
  return {
    memoryGib,
    dirtyPercent: share * 100,
    pattern: share === 0 ? "none" : clustered ? "runs of 512 pages" : "single pages",
    dirtyPages: source.count(),
    readMs,
    floorMs,
    ratio: readMs.median / floorMs.median,
  };
}

/** Nanoseconds of one `set()` of `length` bytes at prepared addresses. */
function measureSet(name: string, length: number, spanGib: number): { name: string; ns: Spread } {
  const random = createRandom(3);
  const count = 1 << 16;
  const addresses = new Float64Array(count);
  for (let i = 0; i < count; i++) addresses[i] = Math.floor(random() * (spanGib * GIB - length));
  const dirty = new DirtyBitmap();
  const samples: number[] = [];
  for (let i = -20; i < runs; i++) {
    const ms = milliseconds(() => {
      for (let n = 0; n < count; n++) dirty.set(addresses[n] ?? 0, length);
    });
    if (i >= 0) samples.push((ms * 1e6) / count);
    dirty.clear();
  }
  return { name, ns: spread(samples) };
}

const reads: ReadResult[] = [];
for (const memoryGib of [16, 1024]) {
  reads.push(measureRead(memoryGib, 0, false));
  for (const share of [0.01, 0.5]) {
    for (const clustered of [false, true]) reads.push(measureRead(memoryGib, share, clustered));
  }
}
const sets = [
  measureSet("64 bytes in 64 MiB", 64, 1 / 16),
  measureSet("1,500 bytes in 16 GiB", 1500, 16),
  measureSet("1,500 bytes in 1 TiB", 1500, 1024),
  measureSet("64 KiB in 16 GiB", 65_536, 16),
];

const report = {
  schemaVersion: 1,
  benchmark: "dirty-bitmap",
  node: process.version,
  cpu: cpus()[0]?.model,
  runs,
  reads,
  sets,
};
if (args.json === true) {
  console.log(JSON.stringify(report));
} else {
  const ms = (value: Spread): string =>
    `${value.median.toFixed(4)} (${value.min.toFixed(4)}..${value.max.toFixed(4)})`;
  console.log(`dirty bitmap, ${report.cpu}, Node ${report.node}, median of ${runs} (min..max)`);
  console.table(
    reads.map((row) => ({
      memory: `${row.memoryGib} GiB`,
      dirty: `${row.dirtyPercent} %, ${row.pattern}`,
      pages: row.dirtyPages,
      "read and clear, ms": ms(row.readMs),
      "floor, ms": ms(row.floorMs),
      ratio: Number(row.ratio.toFixed(3)),
    })),
  );
  console.table(sets.map((row) => ({ "set()": row.name, ns: ms(row.ns) })));
}
