import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects garbage now, without a flag on the command line. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("this engine does not collect on demand");
  collect();
}

/** Bytes of the heap that one call of `run` takes, once it is compiled. */
export function heapPerCall(run: () => void): number {
  const calls = 20_000;
  for (let left = calls; left > 0; left--) run();
  let least = Number.POSITIVE_INFINITY;
  for (let rounds = 3; rounds > 0; rounds--) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let left = calls; left > 0; left--) run();
    least = Math.min(least, (process.memoryUsage().heapUsed - before) / calls);
  }
  return least;
}
