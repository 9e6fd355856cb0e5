/**
 * A 4-byte region read over a unix socket, through client, server, composed device and model, beside two floors in
 * the same run and process layout: messages of the same size with no protocol through the same native layer, and
 * in C. Rows with a C client hold the server alone against its floors.
 *
 * Run: node packages/vfio-user/bench/region-read.bench.ts [--json] [--runs=5] [--reads=50000]
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** Bytes of a read's request, which the messages of the floors have too; C's reply is 36 as the real one. */
const REQUEST_BYTES = 32;
const REPLY_BYTES = 36;

const { values: args } = parseArgs({
  options: {
    json: { type: "boolean" },
    runs: { type: "string", default: "5" },
    reads: { type: "string", default: "50000" },
  },
});
const runs = Number(args.runs);
const reads = args.reads;
const folder = mkdtempSync(join(tmpdir(), "vfmig-bench-"));
const socket = join(folder, "socket");
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const floors = "../../linux/bench";

interface Layout {
  readonly name: string;
  readonly server?: number;
  readonly client?: number;
}

/** Figures of one run; times in microseconds. */
interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  readonly postedPerSecond?: number;
}

/** A server and a client that are measured together, and the row that is their floor. */
interface Row {
  readonly name: string;
  readonly server: readonly string[];
  readonly client: readonly string[];
  readonly floors: readonly string[];
}

/** A message's header, then its payload, in hex. */
function hexMessage(command: number, payload: Uint8Array): string {
  const head = Buffer.alloc(16);
  head.writeUInt16LE(1, 0);
  head.writeUInt16LE(command, 2);
  head.writeUInt32LE(16 + payload.length, 4);
  return Buffer.concat([head, payload]).toString("hex");
}

function compile(name: string): string | undefined {
  const target = join(folder, name);
  const flags = ["-O2", "-o", target, beside(`${floors}/c/${name}.c`)];
  return spawnSync("cc", flags, { stdio: "ignore" }).status === 0 ? target : undefined;
}

function listRows(): readonly Row[] {
  const node = process.execPath;
  const cServer = compile("echo-server");
  const cClient = compile("echo-client");
  const echo = [node, beside(`${floors}/echo-server.ts`), socket, `${REQUEST_BYTES}`, "return"];
  const echoClient = [node, beside(`${floors}/echo-client.ts`), socket, reads, `${REQUEST_BYTES}`];
  const server = (mode: string): string[] => [node, beside("region-server.ts"), socket, mode];
  const client = [node, beside("region-client.ts"), socket, reads];
  const rows: Row[] = [
    {
      name: "floor: no protocol, TypeScript at both ends",
      server: echo,
      client: echoClient,
      floors: [],
    },
    {
      name: "vfio-user, TypeScript at both ends",
      server: server("adaptive"),
      client,
      floors: ["floor: no protocol, TypeScript at both ends", "floor: no protocol, C at both ends"],
    },
    {
      name: "vfio-user, TypeScript at both ends, the client looks 60 times",
      server: server("adaptive"),
      client: [...client, "60"],
      floors: ["floor: no protocol, TypeScript at both ends", "floor: no protocol, C at both ends"],
    },
  ];
  if (cServer === undefined || cClient === undefined) return rows;
  const version = Buffer.from('\0\0\0\0{"capabilities":{}}\0', "latin1");
  const read = Buffer.alloc(16);
  read.writeUInt32LE(0x100, 0);
  read.writeUInt32LE(4, 12);
  const asks = [cClient, socket, reads, "0", hexMessage(9, read), hexMessage(1, version)];
  const plain = [cClient, socket, reads];
  const request = "00".repeat(REQUEST_BYTES);
  return [
    {
      name: "floor: no protocol, C at both ends",
      server: [cServer, socket, `${REQUEST_BYTES}`, `${REPLY_BYTES}`],
      client: [...plain, `${REPLY_BYTES}`, request],
      floors: [],
    },
    {
      name: "floor: no protocol, TypeScript server, C client",
      server: echo,
      client: [...plain, `${REQUEST_BYTES}`, request],
      floors: [],
    },
    ...rows,
    {
      name: "vfio-user, C client",
      server: server("adaptive"),
      client: asks,
      floors: [
        "floor: no protocol, TypeScript server, C client",
        "floor: no protocol, C at both ends",
      ],
    },
    {
      name: "vfio-user, C client, wait: none",
      server: server("none"),
      client: asks,
      floors: [
        "floor: no protocol, TypeScript server, C client",
        "floor: no protocol, C at both ends",
      ],
    },
  ];
}

function start(command: readonly string[], cpu: number | undefined): ChildProcess {
  const [program = "", ...parameters] =
    cpu === undefined ? command : ["taskset", "-c", String(cpu), ...command];
  return spawn(program, parameters, { stdio: ["pipe", "pipe", "inherit"] });
}

async function measure(row: Row, layout: Layout): Promise<Figures> {
  rmSync(socket, { force: true });
  const serving = start(row.server, layout.server);
  const ended = once(serving, "exit");
  if (serving.stdout === null) throw new Error("the server has no output");
  await once(serving.stdout, "data");
  const asking = start(row.client, layout.client);
  if (asking.stdout === null) throw new Error("the client has no output");
  const figures = JSON.parse(await text(asking.stdout)) as Figures;
  serving.stdin?.end();
  await ended;
  return figures;
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

const round = (value: number): number => Math.round(value * 100) / 100;

function summarize(
  layout: Layout,
  rows: readonly Row[],
  taken: ReadonlyMap<string, readonly Figures[]>,
): Record<string, unknown>[] {
  const p50Of = (name: string): number => median((taken.get(name) ?? []).map((each) => each.p50));
  return rows.map((row) => {
    const figures = taken.get(row.name) ?? [];
    const p50 = figures.map((each) => each.p50);
    const posted = figures.flatMap((each) => each.postedPerSecond ?? []);
    const [own, c] = row.floors.map(p50Of).map((floor) => median(p50) / floor);
    return {
      layout: layout.name,
      row: row.name,
      p50Us: round(median(p50)),
      p50SpreadUs: [round(Math.min(...p50)), round(Math.max(...p50))],
      p99Us: round(median(figures.map((each) => each.p99))),
      perSecond: Math.round(median(figures.map((each) => each.perSecond))),
      ...(posted.length > 0 ? { postedWritesPerSecond: Math.round(median(posted)) } : {}),
      ...(own !== undefined && Number.isFinite(own) ? { ratioToFloor: round(own) } : {}),
      ...(c !== undefined && Number.isFinite(c) ? { ratioToC: round(c) } : {}),
    };
  });
}

const layouts: Layout[] = [{ name: "left to the scheduler" }];
if (spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0) {
  layouts.unshift({ name: "one CPU", server: 0, client: 0 });
  if (cpus().length > 1) layouts.splice(1, 0, { name: "two CPUs", server: 0, client: 1 });
}

const results: Record<string, unknown>[] = [];
try {
  const rows = listRows();
  for (const layout of layouts) {
    const taken = new Map<string, Figures[]>(rows.map((row) => [row.name, []]));
    for (let run = 0; run < runs; run++) {
      for (const row of rows) {
        // oxlint-disable-next-line no-await-in-loop -- one at a time, or they would disturb each other
        taken.get(row.name)?.push(await measure(row, layout));
      }
    }
    results.push(...summarize(layout, rows, taken));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const report = {
  benchmark: "region-read",
  machine: { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version },
  readBytes: 4,
  reads: Number(reads),
  runs,
  results,
};
if (args.json === true) console.log(JSON.stringify(report));
else {
  console.log(`${report.machine.cpu}, ${report.machine.cpus} CPUs, node ${report.machine.node}`);
  console.log(`${reads} reads of 4 bytes, ${runs} runs; medians of the runs' figures`);
  console.table(results);
}
