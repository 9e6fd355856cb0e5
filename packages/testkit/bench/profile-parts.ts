/** Where a model's time goes: the sampling profiler's self times, added up by part of the model. */
import { Session } from "node:inspector/promises";

/** Which source files make up a part; what is native or the bench's own is named by its function. */
const PARTS: readonly (readonly [string, RegExp])[] = [
  ["the bench's driver", /\/testing\//u],
  ["parsing frames", /\/models\/net\/classify\./u],
  ["checksums", /\/models\/net\/(?:checksum|receive-checks|crc32c)\./u],
  ["receive hash", /\/models\/(?:net\/(?:toeplitz|hash-input)|intel-vf\/rss)\./u],
  [
    "descriptors",
    /\/(?:descriptors\/|models\/intel-vf\/(?:rx-queue|rx-write-back|tx-queue|tx-packet)\.)/u,
  ],
  ["guest memory, page log", /\/(?:core\/dist\/memory\/|models\/intel-vf\/(?:dma|page-log)\.)/u],
  ["interrupts", /\/(?:interrupts|throttle|msix|irq-vectors)\./u],
  ["registers, region access", /\/models\/intel-vf\/(?:registers|vf-device)\.|region-access/u],
  ["queue and filter logic", /\/models\/intel-vf\//u],
];

/** Functions without a file that copy bytes. */
const COPIES: ReadonlySet<string> = new Set(["set", "subarray", "slice", "fill"]);

export type PartShares = Readonly<Record<string, number>>;

/** Percent of the time of `work` by part, the greatest first; below 1 % is "other". */
export async function profileParts(work: () => void): Promise<PartShares> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 200 });
  await session.post("Profiler.start");
  work();
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  const names = new Map<number, string>();
  for (const { id, callFrame } of profile.nodes) {
    names.set(id, partOf(callFrame.url, callFrame.functionName));
  }
  const sums = new Map<string, number>();
  const samples = profile.samples ?? [];
  for (const id of samples) {
    const name = names.get(id) ?? "other";
    sums.set(name, (sums.get(name) ?? 0) + 1);
  }
  return shares(sums, samples.length);
}

function partOf(url: string, functionName: string): string {
  const part = PARTS.find(([, pattern]) => pattern.test(url));
  if (part !== undefined) return part[0];
  if (url === "" && COPIES.has(functionName)) return "copying bytes (native)";
  if (functionName === "(garbage collector)") return "garbage collection";
  return url.includes("/bench/") ? "the bench's driver" : "other";
}

function shares(sums: ReadonlyMap<string, number>, total: number): PartShares {
  const percent = [...sums].map(([name, count]) => [name, (100 * count) / total] as const);
  const small = percent.filter(([name, value]) => value < 1 || name === "other");
  const large = percent.filter(([name, value]) => value >= 1 && name !== "other");
  const other = small.reduce((sum, [, value]) => sum + value, 0);
  const sorted = large.toSorted(([, a], [, b]) => b - a);
  const round = (value: number): number => Math.round(value * 10) / 10;
  return Object.fromEntries(
    [...sorted, ["other", other] as const].map(([name, value]) => [name, round(value)]),
  );
}
