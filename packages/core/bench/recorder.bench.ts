// What a recorder costs a register read: node packages/core/bench/recorder.bench.ts [--json]
import { recordDevice, silentLogger, systemClock, type VfioDevice } from "@vfmig/core";

const ROUNDS = 9;
const READS = 200_000;

const register = new Uint8Array(4096);
const region = { index: 0, size: 4096, read: true, write: true };
const device = {
  info: { regions: [region], irqs: [] },
  migration: undefined,
  dmaLogging: undefined,
  readRegion: (_: number, offset: number, into: Uint8Array) =>
    into.set(register.subarray(offset, offset + into.length)),
} as unknown as VfioDevice;

/** Nanoseconds for a read; the sink takes what a file would. */
function readNs(recorded: boolean): number {
  let bytes = 0;
  const sink = (batch: Uint8Array): void => void (bytes += batch.length);
  const limits = { bytes: 2 ** 40 };
  const options = { sink, clock: systemClock, logger: silentLogger, limits };
  const target = recorded ? recordDevice(device, options) : device;
  const into = new Uint8Array(4);
  const start = performance.now();
  for (let n = 0; n < READS; n++) target.readRegion(0, (n * 4) % 4096, into);
  return ((performance.now() - start) * 1e6) / READS;
}

// One after the other in turn, so that what else the machine does hits both alike.
const rounds = Array.from({ length: ROUNDS + 1 }, () => {
  const plain = readNs(false);
  const recorded = readNs(true);
  return { plain, recorded, ratio: recorded / plain };
}).slice(1);

function summary(of: "plain" | "recorded" | "ratio"): {
  readonly median: number;
  readonly least: number;
  readonly most: number;
} {
  const sorted = rounds.map((round) => round[of]).toSorted((a, b) => a - b);
  const rounded = (at: number): number => Math.round((sorted[at] ?? 0) * 10) / 10;
  return { median: rounded((ROUNDS - 1) / 2), least: rounded(0), most: rounded(ROUNDS - 1) };
}

const result = {
  plainReadNs: summary("plain"),
  recordedReadNs: summary("recorded"),
  ratio: summary("ratio"),
};
if (process.argv.includes("--json")) console.log(JSON.stringify({ schemaVersion: 1, ...result }));
else console.table(result);
