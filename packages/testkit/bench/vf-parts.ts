/** What the benchmarks of whole VFs share: models, plugins, guests, frames, waiting. */
import { createRequire } from "node:module";
import { setImmediate as turn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import {
  type Clock,
  compose,
  type ComposedDevice,
  type SubDriverDefinition,
  type VfioDevice,
} from "@vfmig/core";
import {
  createE810VfModel,
  createGuestDriver,
  createI40eVfModel,
  createLoosePort,
  directEvent,
  GuestRam,
  type LoosePort,
  type VfModel,
  type VirtchnlGuestDriver,
} from "@vfmig/testkit";

const demo = createRequire(new URL("../../../examples/demo/package.json", import.meta.url));

const IOVA = 0x1_0000_0000n;
const RAM_BYTES = 48 << 20;

/** Descriptors of each ring of the guest. */
export const RING = 256;

/**
 * A VF under the plugin for its model, which relays queues only while that is needed. The plugin is taken from
 * the demo's folder, as a host takes it from its configuration's.
 */
export async function composeVf(
  base: VfioDevice,
  model: string,
  clock: Clock,
  more: Readonly<Record<string, unknown>> = {},
): Promise<ComposedDevice> {
  const path = demo.resolve(`@vfmig/plugin-${model}`);
  const loaded = (await import(pathToFileURL(path).href)) as { readonly default: unknown };
  const plugin = loaded.default as SubDriverDefinition;
  const options = plugin.options?.parse({ shadow: "while-saving", handBack: true, ...more });
  return await compose(base, plugin, { clock, options });
}

/** A VF with `queues` queue pairs, on a wire of its own. */
export function createVf(
  model: string,
  queues: number,
  clock: Clock,
): VfModel & { readonly port: LoosePort } {
  const port = createLoosePort(clock);
  const create = model === "i40e" ? createI40eVfModel : createE810VfModel;
  const options = { vsiId: 1, queuePairs: queues, vectors: queues + 1, spoofCheck: false };
  const wiring = { name: model, mac: "02:00:00:00:00:0a", port: port.port, clock };
  return { ...create({ ...wiring, ...options }), port };
}

/** A guest with memory and a driver for all queues of its device; a fault of the device's ends the benchmark. */
export async function createGuest(
  device: VfioDevice,
  queues: number,
  clock: Clock,
): Promise<VirtchnlGuestDriver> {
  const bytes = new Uint8Array(RAM_BYTES);
  const size = BigInt(RAM_BYTES);
  await device.mapDma({ iova: IOVA, size, read: true, write: true, memory: { bytes } });
  return createGuestDriver({
    device,
    ram: new GuestRam({ bytes, iova: IOVA }),
    clock,
    createEvent: directEvent,
    onFrame() {},
    onFault(fault) {
      throw fault;
    },
    queuePairs: queues,
    ringSize: RING,
  });
}

/** A plugin's status, as far as it tells of shadow mode. */
export interface ShadowStatus {
  readonly modes: readonly { readonly tx: string; readonly rx: string }[];
  readonly switches: readonly {
    readonly n: number;
    readonly kind: "enter" | "leave";
    readonly ms: number;
    readonly outcome: string;
  }[];
}

export function shadowStatus(device: ComposedDevice): ShadowStatus {
  return device.driverStatus() as unknown as ShadowStatus;
}

/** Every queue is on the guest's own rings. */
export function isDirect(device: ComposedDevice): boolean {
  return shadowStatus(device).modes.every(({ tx, rx }) => tx === "direct" && rx === "direct");
}

/** UDP frames from the wire to the guest; their ports choose the queue. */
export const FRAMES: readonly Uint8Array[] = Array.from({ length: 64 }, (_, flow) => {
  const frame = new Uint8Array(200);
  frame.set([2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x0b, 8, 0, 0x45, 0, 0, 186]);
  frame.set([64, 17, 0, 0, 198, 51, 100, 11, 198, 51, 100, 10, 0x10, flow, 0x20, flow], 22);
  return frame;
});

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
