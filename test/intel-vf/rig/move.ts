import type { DmaLoggingFacet, MigrationFacet, VfioDevice } from "@vfmig/core";
import { PAGE, RAM_IOVA, type World } from "./world.ts";

export interface MoveResult {
  readonly state: Uint8Array;
  readonly dirty: ReadonlySet<number>;
  /** Pages that the device itself wrote while its writes were logged, as the model knows. */
  readonly truth: ReadonlySet<number>;
  /** Pages that differ from the source's although all that anybody reported was copied. */
  readonly forgotten: readonly number[];
  readonly ringIndices: unknown;
}

export interface MoveOptions {
  /** Frames that come between the guest's last step and the stop, and after the stop. Default 3. */
  readonly blackout?: number;
  /** Milliseconds for which the device stands still before its state is saved. Default 0. */
  readonly stoppedMs?: number;
  /** Frames that reach the target in each turn of the clock before it runs. Default none. */
  readonly noise?: Uint8Array;
  /** Carries what it can before the stop. Default false. */
  readonly preCopy?: boolean;
  /** Called when all that goes before the stop has gone. */
  readonly onPrecopied?: () => Promise<void>;
  /**
   * Gets the pages that only the device and its plugin have written after the guest stood still, so
   * that nobody else knows of them.
   */
  readonly onStopped?: (changed: readonly number[]) => void;
}

/**
 * Moves the guest's device to another host as a VMM would: memory ahead, stop, what is dirty, state,
 * run. The memory that is left behind is spoilt.
 */
export async function move(
  world: World,
  to: number,
  options: MoveOptions = {},
): Promise<MoveResult> {
  const { blackout = 3, stoppedMs = 0, onStopped, noise } = options;
  const source = world.host;
  const target = world.hostAt(to);
  const { logging, migration: from } = facets(source.device);
  const { migration: into } = facets(target.device);
  const range = { iova: RAM_IOVA, size: BigInt(source.ram.length) };
  source.model.truth.clearWrittenPages();
  await world.settle(logging.start({ pageSize: PAGE, ranges: [range] }));
  world.driver.takeWrittenPages();
  target.ram.set(source.ram);
  world.traffic(20);

  await world.settle(into.setState("resuming"));
  const early = options.preCopy === true ? await precopy(world, into) : new Uint8Array(0);
  await options.onPrecopied?.();
  world.driver.pause();
  const paused = onStopped === undefined ? source.ram : source.ram.slice();
  // Frames that the device takes and the guest does not see any more on this host.
  for (let n = 0; n < blackout; n++) {
    world.frame();
  }
  // From PRE_COPY there is no way through STOP that keeps the session.
  await world.settle(from.setState(options.preCopy === true ? "stop-copy" : "stop"));
  const written = new Set(world.driver.takeWrittenPages());
  onStopped?.(changedPages(paused, source.ram).filter((page) => !written.has(page)));
  // What the source has sent comes before what the target will.
  world.collect();
  for (let n = 0; n < blackout; n++) {
    world.frame();
  }
  world.clock.advance(stoppedMs);
  const bitmap = new Uint8Array(source.ram.length / PAGE / 8);
  await world.settle(logging.report(range, PAGE, bitmap));
  const dirty = pagesOf(bitmap);
  const truth = guestPages(source.model.truth.writtenPages(), source.ram.length);
  for (const page of [...dirty, ...written]) {
    target.ram.set(source.ram.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
  }
  const forgotten = changedPages(source.ram, target.ram);
  await world.settle(from.setState("stop-copy"));
  const late = await readAll(world);
  await writeAll(world, into, late);
  const state = Uint8Array.from(Buffer.concat([early, late]));
  const { ringIndices } = source.device.driverStatus();
  // What the VMM itself moves: memory, interrupts and config space.
  world.driver.rebind({ device: target.user, memory: target.ram });
  await world.settle(into.setState("running"), () => {
    if (noise !== undefined) {
      target.port.deliver(noise);
    }
  });
  world.at = to;
  world.driver.resume();
  await world.settle(logging.stop());
  source.ram.fill(0xa5);
  await world.settle(source.device.reset());
  return { state, dirty, truth, forgotten, ringIndices };
}

/** What is wrong after a move and what came with it; all empty where nothing is. */
export interface Flaws {
  /** Pages that the device wrote and its log did not name. */
  readonly missed: readonly number[];
  readonly forgotten: readonly number[];
  readonly wrongs: readonly string[];
}

export const NO_FLAWS: Flaws = { missed: [], forgotten: [], wrongs: [] };

export function flaws(world: World, { truth, dirty, forgotten }: MoveResult): Flaws {
  return { missed: [...truth.difference(dirty)], forgotten, wrongs: world.wrongs() };
}

/** What the source gives while it runs, taken by the target at once. */
async function precopy(world: World, into: MigrationFacet): Promise<Uint8Array> {
  const { migration: from } = facets(world.host.device);
  await world.settle(from.setState("pre-copy"));
  const early = await readAll(world);
  await writeAll(world, into, early);
  world.traffic(40);
  return early;
}

async function writeAll(world: World, into: MigrationFacet, state: Uint8Array): Promise<void> {
  for (let at = 0; at < state.length; at += 1000) {
    // oxlint-disable-next-line no-await-in-loop -- a stream
    await world.settle(into.writeData(state.subarray(at, at + 1000)));
  }
}

async function readAll(world: World): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(777);
    // oxlint-disable-next-line no-await-in-loop -- a stream
    const length = await world.settle(facets(world.host.device).migration.readData(into));
    if (length === 0) {
      return Uint8Array.from(Buffer.concat(parts));
    }
    parts.push(into.subarray(0, length));
  }
}

function pagesOf(bitmap: Uint8Array): Set<number> {
  const pages = new Set<number>();
  for (const [index, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if (((byte >>> bit) & 1) === 1) {
        pages.add(index * 8 + bit);
      }
    }
  }
  return pages;
}

/** Page numbers from the start of guest memory; private memory lies elsewhere. */
function guestPages(pages: readonly number[], size: number): Set<number> {
  const first = Number(RAM_IOVA) / PAGE;
  const inside = pages.filter((page) => page >= first && page < first + size / PAGE);
  return new Set(inside.map((page) => page - first));
}

function changedPages(before: Uint8Array, after: Uint8Array): number[] {
  if (Buffer.compare(before, after) === 0) {
    return [];
  }
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
  if (migration === undefined || logging === undefined) {
    throw new Error("the device cannot migrate");
  }
  return { migration, logging };
}
