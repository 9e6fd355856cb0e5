/**
 * Bytes that the server's heap takes for each access: a million reads and writes from a C client, the heap's use before
 * and after, with no collection between. The access path itself takes
 * none (src/server/handlers/allocation.long.test.ts); a turn of the event loop takes about 110 bytes in Node's callback,
 * and the adaptive wait serves many accesses in one turn. Exit code 1 above 16 bytes, the smallest of objects.
 *
 * Run: node packages/vfio-user/bench/allocation.bench.ts [--json] [--accesses=1000000]
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as messages from "./messages.ts";

const { values: args } = parseArgs({
  options: { json: { type: "boolean" }, accesses: { type: "string", default: "1000000" } },
});
const accesses = Number(args.accesses);
const folder = mkdtempSync(join(tmpdir(), "vfmig-bench-"));
const socket = join(folder, "socket");
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function ask(client: string, test: string, count: number, message: string): void {
  const parameters = [socket, test, String(count), messages.version, message];
  const done = spawnSync(client, parameters, { stdio: ["ignore", "ignore", "inherit"] });
  if (done.status !== 0) throw new Error(`the client failed: ${test}`);
}

const client = join(folder, "client");
if (spawnSync("cc", ["-O2", "-o", client, beside("c/client.c")]).status !== 0) {
  throw new Error("this benchmark needs a C compiler (cc)");
}
const young = ["--min-semi-space-size=256", "--max-semi-space-size=256"];
const flags = [...young, beside("allocation-server.ts"), socket];
const serving = spawn(process.execPath, flags, { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: serving.stdout })[Symbol.asyncIterator]();
const nextLine = async (): Promise<string> => String((await lines.next()).value);

interface Count {
  readonly used: number;
  readonly collections: number;
}

/** How much of the server's heap is used, in bytes, and how often it was collected. */
async function count(): Promise<Count> {
  serving.stdin.write("count\n");
  return JSON.parse(await nextLine()) as Count;
}

const results: { test: string; bytesPerAccess: number }[] = [];
try {
  await nextLine();
  const tests = [
    { test: "read 4 B", kind: "round-trip", message: messages.read(0, 0x1000, 4) },
    { test: "write 4 B", kind: "round-trip", message: messages.write(0, 0x1000, 4) },
    { test: "read 8 B", kind: "round-trip", message: messages.read(0, 0x1000, 8) },
    { test: "reads, 32 in flight", kind: "flight:32", message: messages.read(0, 0x1000, 4) },
  ];
  for (const { test, kind, message } of tests) {
    // The compilers are done after this; a connection's own memory is taken off by the empty run.
    ask(client, kind, Math.min(accesses, 200_000), message);
    const start = await count(); // oxlint-disable-line no-await-in-loop -- in turn
    ask(client, kind, 10, message);
    const empty = await count(); // oxlint-disable-line no-await-in-loop -- in turn
    ask(client, kind, accesses, message);
    const end = await count(); // oxlint-disable-line no-await-in-loop -- in turn
    if (end.collections > start.collections) throw new Error("the heap was collected meanwhile");
    const bytes = end.used - empty.used - (empty.used - start.used);
    results.push({ test, bytesPerAccess: Number((bytes / (accesses * 1.1)).toFixed(3)) });
  }
} finally {
  serving.stdin.end();
  await once(serving, "exit");
  rmSync(folder, { recursive: true, force: true });
}
if (args.json === true) console.log(JSON.stringify({ benchmark: "allocation", accesses, results }));
else console.table(results);
if (results.some(({ bytesPerAccess }) => bytesPerAccess > 16)) process.exitCode = 1;
