/**
 * Round trips of 32 bytes over a unix socket: a server in the event loop through this package, beside the floor,
 * a server in C that blocks. The same client, the same processes and CPUs, in turn in one run.
 *
 * Run: node packages/linux/bench/socket-echo.bench.ts [--json] [--runs=5] [--round-trips=100000]
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const BYTES = 32;

const { values: args } = parseArgs({
  options: {
    json: { type: "boolean" },
    runs: { type: "string", default: "5" },
    "round-trips": { type: "string", default: "100000" },
  },
});
const runs = Number(args.runs);
const roundTrips = Number(args["round-trips"]);
const folder = mkdtempSync(join(tmpdir(), "vfmig-bench-"));
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const works = (command: string, parameter: string): boolean =>
  spawnSync(command, [parameter], { stdio: "ignore" }).status === 0;

/** A command without its socket path, which comes first. */
type Command = readonly [program: string, ...parameters: string[]];

/** One layout of processes on CPUs; undefined leaves it to the scheduler. */
interface Layout {
  readonly name: string;
  readonly server?: number;
  readonly client?: number;
}

/** Figures of one run, in microseconds. */
interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

function compile(name: string): string | undefined {
  const target = join(folder, name);
  const flags = ["-O2", "-o", target, beside(`c/${name}.c`)];
  return spawnSync("cc", flags, { stdio: "ignore" }).status === 0 ? target : undefined;
}

function start(command: Command, cpu: number | undefined): ReturnType<typeof spawn> {
  const [program, ...parameters] =
    cpu === undefined ? command : ["taskset", "-c", String(cpu), ...command];
  return spawn(program ?? "", parameters, { stdio: ["ignore", "pipe", "inherit"] });
}

async function measure(server: Command, client: Command, layout: Layout): Promise<Figures> {
  const path = join(folder, "socket");
  rmSync(path, { force: true });
  const [program, ...parameters] = server;
  const script = program === process.execPath ? [parameters.shift() ?? ""] : [];
  const serving = start([program, ...script, path, ...parameters], layout.server);
  const ended = once(serving, "exit");
  if (serving.stdout === null) throw new Error("the server has no output");
  await once(serving.stdout, "data");
  const [clientProgram, ...clientParameters] = client;
  const clientScript = clientProgram === process.execPath ? [clientParameters.shift() ?? ""] : [];
  const asking = start([clientProgram, ...clientScript, path, ...clientParameters], layout.client);
  if (asking.stdout === null) throw new Error("the client has no output");
  const figures = JSON.parse(await text(asking.stdout)) as Figures;
  await ended;
  return figures;
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

function summarize(figures: readonly Figures[]): Record<string, unknown> {
  const p50 = figures.map((each) => each.p50);
  return {
    p50Us: median(p50),
    p50SpreadUs: [Math.min(...p50), Math.max(...p50)],
    p99Us: median(figures.map((each) => each.p99)),
    perSecond: Math.round(median(figures.map((each) => each.perSecond))),
  };
}

const cClient = compile("echo-client");
const cServer = compile("echo-server");
const client: Command =
  cClient === undefined
    ? [process.execPath, beside("echo-client.ts"), String(roundTrips), String(BYTES)]
    : [cClient, String(roundTrips), String(BYTES), "00".repeat(BYTES)];
const node = [process.execPath, beside("echo-server.ts"), String(BYTES)] as const;
const servers: [string, Command][] = [
  ["event loop, returns after each message", [...node, "return"]],
  ["event loop, waits bounded", [...node, "bounded"]],
];
if (cServer !== undefined) {
  servers.unshift(["C, blocking (floor)", [cServer, String(BYTES), String(BYTES)]]);
}
const layouts: Layout[] = [{ name: "left to the scheduler" }];
if (works("taskset", "--version")) {
  layouts.unshift({ name: "one CPU", server: 0, client: 0 });
  if (cpus().length > 1) layouts.splice(1, 0, { name: "two CPUs", server: 0, client: 1 });
}

const results: Record<string, unknown>[] = [];
try {
  for (const layout of layouts) {
    const taken = new Map<string, Figures[]>(servers.map(([name]) => [name, []]));
    for (let run = 0; run < runs; run++) {
      for (const [name, server] of servers) {
        // oxlint-disable-next-line no-await-in-loop -- one at a time, or they would disturb each other
        taken.get(name)?.push(await measure(server, client, layout));
      }
    }
    const floor = taken.get(servers[0]?.[0] ?? "") ?? [];
    for (const [name, figures] of taken) {
      const ratio =
        cServer === undefined
          ? undefined
          : median(figures.map((each) => each.p50)) / median(floor.map((each) => each.p50));
      results.push({ layout: layout.name, server: name, ...summarize(figures), ratio });
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const report = {
  benchmark: "socket-echo",
  machine: { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version },
  messageBytes: BYTES,
  roundTrips,
  runs,
  client: cClient === undefined ? "TypeScript, blocking" : "C, blocking",
  results,
};
if (args.json === true) console.log(JSON.stringify(report));
else {
  console.log(`${report.machine.cpu}, ${report.machine.cpus} CPUs, node ${report.machine.node}`);
  console.log(
    `${roundTrips} round trips of ${BYTES} bytes, ${runs} runs, client: ${report.client}`,
  );
  console.table(results);
}
