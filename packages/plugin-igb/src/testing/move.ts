import type { DmaLoggingFacet, MigrationFacet, VfioDevice } from "@vfmig/core";
import { PAGE, RAM_IOVA, type World } from "./world.ts";

export interface MoveResult {
  readonly state: Uint8Array;
  /** Pages that the device and its plugin wrote while the guest stood still, and that nobody reported. */
  readonly forgotten: readonly number[];
  readonly ringIndices: unknown;
}

export interface MoveOptions {
  /** Frames that come between the guest's last step and the stop, and after the stop. Default 3. */
  readonly blackout?: number;
  /** What happens once the source stands still. */
  readonly stopped?: () => void;
  /** What happens between the save and the load; what it throws gives the move up. */
  readonly between?: () => void;
}

/**
 * Moves the guest's device to the other VF as a VMM would: memory ahead, stop, what is dirty, state, run.
 * The memory that is left behind is spoilt.
 */
export async function move(world: World, options: MoveOptions = {}): Promise<MoveResult> {
  const { blackout = 3, stopped, between } = options;
  const to = 1 - world.at;
  const source = world.device;
  const target = world.deviceAt(to);
  const [from, into] = [facets(source), facets(target)];
  const [sourceRam, targetRam] = [world.ram, world.rams[to] ?? new Uint8Array(0)];
  const range = { iova: RAM_IOVA, size: BigInt(sourceRam.length) };
  await world.settle(from.logging.start({ pageSize: PAGE, ranges: [range] }));
  world.driver.takeWrittenPages();
  targetRam.set(sourceRam);
  world.traffic(20);
  await world.settle(into.migration.setState("resuming"));
  world.driver.pause();
  for (let n = 0; n < blackout; n++) world.frame();
  await world.settle(from.migration.setState("stop"));
  stopped?.();
  for (let n = 0; n < blackout; n++) world.frame();
  const bitmap = new Uint8Array(sourceRam.length / PAGE / 8);
  await world.settle(from.logging.report(range, PAGE, bitmap));
  const dirty = [...pagesOf(bitmap), ...world.driver.takeWrittenPages()];
  for (const page of dirty) {
    targetRam.set(sourceRam.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
  }
  const forgotten = changedPages(sourceRam, targetRam);
  await world.settle(from.migration.setState("stop-copy"));
  const state = await readAll(world, from.migration);
  const { ringIndices } = source.driverStatus();
  try {
    between?.();
    await world.settle(into.migration.writeData(state));
    world.driver.rebind({ device: world.reach(to), memory: targetRam });
    await world.settle(into.migration.setState("running"));
  } catch (error) {
    world.driver.rebind({ device: world.reach(1 - to), memory: sourceRam });
    await world.settle(target.reset());
    await world.settle(from.migration.setState("running"));
    await world.settle(from.logging.stop());
    world.driver.resume();
    throw error;
  }
  world.at = to;
  world.driver.resume();
  await world.settle(from.logging.stop());
  sourceRam.fill(0xa5);
  await world.settle(source.reset());
  return { state, forgotten, ringIndices };
}

async function readAll(world: World, migration: MigrationFacet): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(777);
    // oxlint-disable-next-line no-await-in-loop -- a stream
    const length = await world.settle(migration.readData(into));
    if (length === 0) return Uint8Array.from(Buffer.concat(parts));
    parts.push(into.subarray(0, length));
  }
}

function* pagesOf(bitmap: Uint8Array): Generator<number> {
  for (const [index, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) if (((byte >>> bit) & 1) === 1) yield index * 8 + bit;
  }
}

function changedPages(before: Uint8Array, after: Uint8Array): number[] {
  return Array.from({ length: before.length / PAGE }, (_, page) => page).filter((page) => {
    const [from, to] = [page * PAGE, (page + 1) * PAGE];
    return Buffer.compare(before.subarray(from, to), after.subarray(from, to)) !== 0;
  });
}

/** Migration and log of a device that must have them. */
export function facets(device: VfioDevice): {
  readonly migration: MigrationFacet;
  readonly logging: DmaLoggingFacet;
} {
  const { migration, dmaLogging: logging } = device;
  if (migration === undefined || logging === undefined) throw new Error("it cannot migrate");
  return { migration, logging };
}
