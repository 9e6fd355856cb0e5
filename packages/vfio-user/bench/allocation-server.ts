/**
 * Server of the allocation benchmark: prints, for each line that it reads, how many bytes of its heap are used and
 * how often it was collected. With young space for all that a run allocates nothing is collected, and what is used
 * is what was allocated.
 *
 * Run: node --min-semi-space-size=256 --max-semi-space-size=256 allocation-server.ts PATH
 */
import { PerformanceObserver } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { createLinuxIo } from "@vfmig/linux";
import { createVfioUserServer } from "@vfmig/vfio-user";
import { createBenchDevice } from "./bench-device.ts";

const path = process.argv[2] ?? "";
const server = createVfioUserServer({ io: createLinuxIo(), device: createBenchDevice(), path });

let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});
observer.observe({ entryTypes: ["gc"] });

const lines = createInterface({ input: process.stdin });
lines.on("line", () => {
  console.log(JSON.stringify({ used: process.memoryUsage().heapUsed, collections }));
});
lines.on("close", () => void server.close());
console.log("ready");
await server.closed;
