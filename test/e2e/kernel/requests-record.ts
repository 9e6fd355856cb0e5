import { readFileSync, writeFileSync } from "node:fs";
import type { BedKind } from "./bed.ts";
import type { RequestReport } from "./inside/bed-case.ts";

/** What the README of vfio-pci-base says of real kernels is written from this file. */
const FILE = new URL(
  "../../../packages/vfio-pci-base/src/testing/requests-on-kernels.json",
  import.meta.url,
);

type Results = Readonly<Record<string, string>>;

/** What the cases of a guest asked of its kernel, by the way in which the device was opened. */
export interface KernelRecord {
  /** As `uname -r` tells it. */
  readonly kernel: string;
  /** Day of the run. */
  readonly date: string;
  /** By request: `ok` where it succeeded once, else the first errno. */
  readonly group: Results;
  readonly iommufd: Results;
}

/** Unites what the processes of one guest told; undefined where none told anything. */
export function recordOf(reports: readonly RequestReport[]): KernelRecord | undefined {
  const [first] = reports;
  if (first === undefined) return undefined;
  const made = reports.flatMap((report) => report.made);
  const resultsOf = (path: "group" | "iommufd"): Results => {
    const results = new Map<string, string>();
    for (const { name, result } of made.filter((each) => each.path === path)) {
      if (result === "ok" || !results.has(name)) results.set(name, result);
    }
    return Object.fromEntries([...results].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };
  const date = new Date().toISOString().slice(0, 10);
  return {
    kernel: first.requestsOf,
    date,
    group: resultsOf("group"),
    iommufd: resultsOf("iommufd"),
  };
}

export function writeRecord(kind: BedKind, record: KernelRecord): void {
  const all = { ...readRecords(), [kind]: record };
  writeFileSync(FILE, `${JSON.stringify(all, null, 2)}\n`);
}

/** In which requests the file and a run differ, in words; a newer kernel or another day is no difference. */
export function differences(kind: BedKind, record: KernelRecord): readonly string[] {
  const written = readRecords()[kind];
  return (["group", "iommufd"] as const).flatMap((path) => {
    const [before, now] = [written?.[path] ?? {}, record[path]];
    const names = new Set([...Object.keys(before), ...Object.keys(now)]);
    return [...names].flatMap((name) => {
      const [was, is] = [before[name], now[name]];
      if (was === is || (was !== "ok" && is !== "ok")) return [];
      return [`${name}, ${path}: ${was ?? "not asked"} in the file, ${is ?? "not asked"} now`];
    });
  });
}

function readRecords(): Readonly<Partial<Record<BedKind, KernelRecord>>> {
  try {
    return JSON.parse(readFileSync(FILE, "utf8")) as Readonly<
      Partial<Record<BedKind, KernelRecord>>
    >;
  } catch {
    return {};
  }
}
