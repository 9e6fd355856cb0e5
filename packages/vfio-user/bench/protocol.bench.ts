/**
 * Every kind of message that matters for speed, from a C client: served by this package, and by a server in C that
 * checks nothing, has no device and reads as libvfio-user does (c/plain-server.c). Both in turn in one run.
 *
 * Run: node packages/vfio-user/bench/protocol.bench.ts [--json] [--runs=5] [--count=20000] [--only=TEXT] [--layout=TEXT]
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as messages from "./messages.ts";

const { values: args } = parseArgs({
  options: {
    json: { type: "boolean" },
    runs: { type: "string", default: "5" },
    count: { type: "string", default: "20000" },
    only: { type: "string", default: "" },
    layout: { type: "string", default: "" },
  },
});
const runs = Number(args.runs);
const folder = mkdtempSync(join(tmpdir(), "vfmig-bench-"));
const socket = join(folder, "socket");
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Sample {
  readonly p50?: number;
  readonly p99?: number;
  readonly perSecond: number;
}
type Samples = Partial<Record<"a" | "b", Sample>>;

interface Test {
  readonly name: string;
  readonly test: string;
  readonly a: string;
  readonly b?: string;
  /** Which of the two is the measure; default a. */
  readonly of?: "a" | "b";
  /** Part of the count that is enough. */
  readonly share?: number;
  /** Bytes that each moves, for a rate. */
  readonly bytes?: number;
}

const KIB = 1024;
const MIB = 1_048_576;
const GIB = 1_073_741_824;
const TESTS: readonly Test[] = [
  { name: "read 4 B", test: "round-trip", a: messages.read(0, 0x1000, 4) },
  { name: "write 4 B", test: "round-trip", a: messages.write(0, 0x1000, 4) },
  { name: "reads, 32 in flight", test: "flight:32", a: messages.read(0, 0x1000, 4), share: 10 },
  {
    name: "posted writes",
    test: "posted",
    a: messages.postedWrite(0, 0x1000, 4),
    b: messages.read(0, 0x1000, 4),
    share: 10,
  },
  transfer("read 4 KiB", messages.read(2, 0, 4 * KIB), 4 * KIB, 1),
  transfer("read 64 KiB", messages.read(2, 0, 64 * KIB), 64 * KIB, 0.2),
  transfer("read 1 MiB", messages.read(2, 0, MIB), MIB, 0.05),
  transfer("write 64 KiB", messages.write(2, 0, 64 * KIB), 64 * KIB, 0.2),
  transfer("state read, 64 KiB", messages.migrationRead(64 * KIB), 64 * KIB, 0.2),
  transfer("state read, 1 MiB", messages.migrationRead(MIB), MIB, 0.05),
  transfer("state write, 32 KiB", messages.migrationWrite(32 * KIB), 32 * KIB, 0.2),
  transfer("state write, 1 MiB", messages.migrationWrite(MIB), MIB, 0.05),
  { ...maps("DMA map 2 MiB"), of: "a" },
  { ...maps("DMA unmap"), of: "b" },
  { name: "SET_IRQS with eventfd", test: "event", a: messages.setIrq },
  {
    name: "doorbell to eventfd",
    test: "interrupt",
    a: messages.setIrq,
    b: messages.postedWrite(0, 0x100, 4),
  },
  {
    name: "dirty report 16 GiB, clean",
    test: "round-trip",
    a: messages.dirtyReport(16 * GIB),
    share: 0.05,
  },
  {
    name: "dirty report 16 GiB, 262,144 bits",
    test: "round-trip",
    a: messages.write(0, 0x200, 4),
    b: messages.dirtyReport(16 * GIB),
    of: "b",
    share: 0.02,
  },
];

function transfer(name: string, a: string, bytes: number, share: number): Test {
  return { name, test: "round-trip", a, bytes, share };
}

function maps(name: string): Test {
  const [a, b] = [messages.dmaMap(0, 2 * MIB), messages.dmaUnmap(0, 2 * MIB)];
  return { name, test: "memory", a, b, share: 0.5 };
}

interface Layout {
  readonly name: string;
  readonly server: number;
  readonly client: number;
}

function compile(name: string): string {
  const target = join(folder, name);
  const built = spawnSync("cc", ["-O2", "-o", target, beside(`c/${name}.c`)], { stdio: "inherit" });
  if (built.status !== 0) throw new Error("this benchmark needs a C compiler (cc)");
  return target;
}

function start(command: readonly string[], cpu: number): ChildProcess {
  return spawn("taskset", ["-c", String(cpu), ...command], { stdio: ["pipe", "pipe", "inherit"] });
}

async function measure(server: readonly string[], test: Test, layout: Layout): Promise<Sample> {
  rmSync(socket, { force: true });
  const serving = start(server, layout.server);
  const ended = once(serving, "exit");
  if (serving.stdout === null) throw new Error("the server has no output");
  await once(serving.stdout, "data");
  const count = String(Math.max(100, Math.round(Number(args.count) * (test.share ?? 1))));
  const parameters = [socket, test.test, count, messages.version, test.a];
  if (test.b !== undefined) parameters.push(test.b);
  const asking = start([client, ...parameters], layout.client);
  if (asking.stdout === null) throw new Error("the client has no output");
  const samples = JSON.parse(await text(asking.stdout)) as Samples;
  serving.stdin?.end();
  await ended;
  const sample = samples[test.of ?? "a"];
  if (sample === undefined) throw new Error(`no figures of ${test.name}`);
  return sample;
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

const round = (value: number): number => Number(value.toPrecision(3));

function summarize(layout: Layout, test: Test, ours: Sample[], plain: Sample[]): object {
  const figure = ({ p50, perSecond }: Sample): number => p50 ?? 1e6 / perSecond;
  const [own, peer] = [ours, plain].map((each) => each.map(figure));
  const p99 = (samples: Sample[]): number => median(samples.flatMap((each) => each.p99 ?? []));
  const base = {
    layout: layout.name,
    test: test.name,
    us: round(median(own ?? [])),
    spreadUs: [round(Math.min(...(own ?? []))), round(Math.max(...(own ?? [])))],
    p99Us: round(p99(ours)),
    perSecond: Math.round(median(ours.map((each) => each.perSecond))),
    cUs: round(median(peer ?? [])),
    cP99Us: round(p99(plain)),
    cPerSecond: Math.round(median(plain.map((each) => each.perSecond))),
    ratio: round(median(own ?? []) / median(peer ?? [])),
  };
  if (test.bytes === undefined) return base;
  const rate = (us: number): number => Math.round((test.bytes ?? 0) / MIB / (us / 1e6));
  return { ...base, mibPerSecond: rate(base.us), cMibPerSecond: rate(base.cUs) };
}

const client = compile("client");
const plainServer = [compile("plain-server"), socket];
const ownServer = [process.execPath, beside("region-server.ts"), socket, "adaptive", "bare"];
const layouts: readonly Layout[] = [
  { name: "one CPU", server: 0, client: 0 },
  { name: "two CPUs", server: 0, client: 1 },
].filter(({ name, client: cpu }) => cpu < cpus().length && name.includes(args.layout));

const results: object[] = [];
try {
  for (const layout of layouts) {
    for (const test of TESTS.filter(({ name }) => name.includes(args.only))) {
      const ours: Sample[] = [];
      const plain: Sample[] = [];
      for (let run = 0; run < runs; run++) {
        // oxlint-disable-next-line no-await-in-loop -- one at a time, or they would disturb each other
        plain.push(await measure(plainServer, test, layout));
        // oxlint-disable-next-line no-await-in-loop -- as above
        ours.push(await measure(ownServer, test, layout));
      }
      results.push(summarize(layout, test, ours, plain));
      if (args.json !== true) console.error(`${layout.name}: ${test.name}`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const report = {
  benchmark: "protocol",
  machine: { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version, load: loadavg() },
  count: Number(args.count),
  runs,
  results,
};
if (args.json === true) console.log(JSON.stringify(report));
else {
  const { machine } = report;
  console.log(`${machine.cpu}, ${machine.cpus} CPUs, node ${machine.node}, load ${loadavg()[0]}`);
  console.table(results);
}
