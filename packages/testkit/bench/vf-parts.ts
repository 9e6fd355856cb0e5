/** What the benchmarks of whole VFs share: plugins as a host finds them, frames, waiting, medians. */
import { createRequire } from "node:module";
import { setImmediate as turn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { SubDriverDefinition } from "@vfmig/core";

const demo = createRequire(new URL("../../../examples/demo/package.json", import.meta.url));

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

/** The plugin for a model, taken from the demo's folder, as a host takes it from its configuration's. */
export async function pluginOf(model: string): Promise<SubDriverDefinition> {
  const path = demo.resolve(`@vfmig/plugin-${model}`);
  const loaded = (await import(pathToFileURL(path).href)) as { readonly default: unknown };
  return loaded.default as SubDriverDefinition;
}

/** A UDP frame from the wire to the guest; the ports choose the queue. */
export function frameTo(mac: readonly number[], flow: number): Uint8Array {
  const frame = new Uint8Array(200);
  frame.set([...mac, 2, 0, 0, 0, 0, 0x0b, 8, 0, 0x45, 0, 0, 186]);
  frame.set([64, 17, 0, 0, 198, 51, 100, 11, 198, 51, 100, 10, 0x10, flow, 0x20, flow], 22);
  return frame;
}

/** Turns of the event loop until `done`; false after `limitMs` milliseconds. */
export async function until(done: () => boolean, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) {
      return false;
    }
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await turn();
  }
  return true;
}
