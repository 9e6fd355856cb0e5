/**
 * What waiting costs in CPU time: a client on another CPU that reads 4 bytes at a fixed rate, or not at all, and the
 * server's own CPU time meanwhile, with `wait: "none"` and with the default.
 *
 * Run: node packages/vfio-user/bench/idle-cost.bench.ts [--json] [--seconds=3]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createLinuxIo } from "@vfmig/linux";
import { connectVfioUser } from "@vfmig/vfio-user";

const { values: args } = parseArgs({
  options: { json: { type: "boolean" }, seconds: { type: "string", default: "3" } },
});
const milliseconds = Number(args.seconds) * 1000;
/** Clock ticks of a second in `/proc/PID/stat` (`USER_HZ`). */
const TICKS = 100;
const folder = mkdtempSync(join(tmpdir(), "vfmig-bench-"));
const socket = join(folder, "socket");
const script = fileURLToPath(new URL("region-server.ts", import.meta.url));

/** User and system time of a process in milliseconds. */
function cpuTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

/** Per cent of one CPU that the server takes while `gapUs` lie between two reads; Infinity for none. */
async function measure(mode: string, gapUs: number): Promise<{ cpu: number; reads: number }> {
  rmSync(socket, { force: true });
  const flags = ["-c", "0", process.execPath, script, socket, mode, "bare"];
  const serving = spawn("taskset", flags, { stdio: ["pipe", "pipe", "inherit"] });
  await once(serving.stdout, "data");
  const client = await connectVfioUser({ io: createLinuxIo(), path: socket });
  const word = new Uint8Array(4);
  for (let left = 5000; left > 0; left--) client.device.readRegion(0, 0x1000, word);
  const before = cpuTime(serving.pid ?? 0);
  const start = performance.now();
  let reads = 0;
  const end = gapUs === Infinity ? start : start + milliseconds;
  if (gapUs === Infinity) await new Promise((resolve) => setTimeout(resolve, milliseconds));
  let next = start;
  while (performance.now() < end) {
    next += gapUs / 1000;
    while (performance.now() < next);
    client.device.readRegion(0, 0x1000, word);
    reads++;
  }
  const spent = cpuTime(serving.pid ?? 0) - before;
  const cpu = Math.round((spent / (performance.now() - start)) * 1000) / 10;
  await client.close();
  serving.stdin.end();
  await once(serving, "exit");
  return { cpu, reads };
}

const results: object[] = [];
try {
  for (const gapUs of [Infinity, 1000, 200, 100, 0]) {
    const row: Record<string, unknown> = { gapUs: gapUs === Infinity ? "no reads" : gapUs };
    for (const mode of ["none", "adaptive"]) {
      // oxlint-disable-next-line no-await-in-loop -- one at a time, or they would disturb each other
      const { cpu, reads } = await measure(mode, gapUs);
      row[`${mode}CpuPercent`] = cpu;
      row[`${mode}Reads`] = reads;
    }
    results.push(row);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (args.json === true) {
  console.log(JSON.stringify({ benchmark: "idle-cost", cpu: cpus()[0]?.model, results }));
} else console.table(results);
