import type { SwitchWindow } from "@vfmig/iavf/vf";
import type { RelayCounters } from "@vfmig/shadow-queue";
import { facets } from "./move.ts";
import { PAGE, RAM_IOVA, type World, type WorldOptions } from "./world.ts";

/** What the plugin says of shadow mode. */
export interface ShadowStatus {
  readonly open: readonly string[];
  readonly modes: readonly { readonly queue: number; readonly tx: string; readonly rx: string }[];
  readonly switches: readonly SwitchWindow[];
  readonly relayed: readonly {
    readonly queue: number;
    readonly tx: RelayCounters;
    readonly rx: RelayCounters;
  }[];
  readonly trapped: readonly { readonly region: number; readonly offset: number }[];
}

export function status(world: World): ShadowStatus {
  return world.host.device.driverStatus() as unknown as ShadowStatus;
}

/** Modes that any half of a pair is in. */
export function modes(world: World): Set<string> {
  return new Set(status(world).modes.flatMap(({ tx, rx }) => [tx, rx]));
}

/** Options of a world in the mode `while-saving`. */
export function whileSaving(options: WorldOptions = {}): WorldOptions {
  return {
    ...options,
    options: { shadow: "while-saving", handBack: true, ...options.options },
  };
}

/** Frames each way, with turns of the event loop, in which what was begun goes on. */
export async function flow(world: World, count: number, length?: number): Promise<void> {
  for (let n = 0; n < count; n += 8) {
    for (let frame = 0; frame < 8; frame++) {
      world.frame(length);
    }
    world.clock.advance(0.25);
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await turn();
  }
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Starts the log of device writes while frames flow. */
export async function startLog(world: World): Promise<void> {
  const { logging } = facets(world.host.device);
  const size = BigInt(world.host.ram.length);
  const started = logging.start({ pageSize: PAGE, ranges: [{ iova: RAM_IOVA, size }] });
  await under(world, started);
}

export async function stopLog(world: World): Promise<void> {
  await world.settle(facets(world.host.device).logging.stop());
}

/** Waits for `promise` while frames flow. */
export async function under<T>(world: World, promise: Promise<T>): Promise<T> {
  let over = false;
  const watched = promise.finally(() => {
    over = true;
  });
  watched.catch(() => {});
  for (let n = 0; n < 10_000 && !over; n++) {
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 8);
  }
  return await watched;
}

/** Frames until every pair is the guest's again; fails after `most` frames. */
export async function untilDirect(world: World, most = 40_000): Promise<void> {
  for (let n = 0; n < most; n += 64) {
    const found = modes(world);
    if (found.size === 1 && found.has("direct")) {
      return;
    }
    // oxlint-disable-next-line no-await-in-loop -- traffic
    await flow(world, 64);
  }
  throw new Error(`no hand-back in ${most} frames: ${JSON.stringify(status(world).modes)}`);
}
