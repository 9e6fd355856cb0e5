import {
  VfmigError,
  type Clock,
  type DirtyPagesReport,
  type DmaLoggingFacet,
  type MigrationFacet,
  type VfioDevice,
} from "@vfmig/core";
import { addPages, copyPages, copyWhileRunning, countPages } from "./page-copy.ts";
import type { VirtualSlot } from "./virtual-slot.ts";
import { weighLog } from "./written-pages.ts";

const PAGE = 4096;
const CHUNK = 64 * 1024;

/** A device that one host serves, with the memory that this guest would have on that host. */
export interface Machine {
  readonly name: string;
  readonly device: VfioDevice;
  readonly ram: Uint8Array;
}

/** The guest as its VMM sees it: processors that can stand still, and memory. */
export interface MovableGuest {
  /** The processors stand still: no instruction of the guest runs until {@link MovableGuest.resume}. */
  pause(): void;
  resume(): void;
  /** Page numbers, from the start of the memory, that the guest wrote since the last call. */
  takeWrittenPages(): Iterable<number>;
  /** From now on the guest's memory is `ram`. */
  useMemory(ram: Uint8Array): void;
}

export interface MoveOptions {
  readonly slot: VirtualSlot;
  readonly source: Machine;
  readonly target: Machine;
  readonly guest: MovableGuest;
  /** IOVA of the first byte of memory. */
  readonly ramIova: bigint;
  readonly clock: Clock;
  /** Receives the device-state stream, for people who want to keep it. */
  readonly onState?: (chunk: Uint8Array) => void;
}

/**
 * `stop`: the device comes to rest; `memory`: what is left of it is copied; `save` and `carry`: the state is
 * read from the source and written to the target; `replay`: the target makes it its own; `start`: it runs.
 */
export type Phase = "stop" | "memory" | "save" | "carry" | "replay" | "start";

/** What a move did and when; times are of {@link Clock.now}, in milliseconds. */
export interface MoveOutcome {
  readonly stopRequested: number;
  readonly resumed: number;
  /** Lengths of the steps between the two, in milliseconds. */
  readonly phases: Readonly<Record<Phase, number>>;
  readonly stateBytes: number;
  /** Pages that the device had written after the copy, by its own log. */
  readonly dirtyPages: number;
  /** How many of these had changed. */
  readonly dirty: DirtyPagesReport;
  /** Pages copied after the stop. */
  readonly copiedPages: number;
}

/**
 * Moves a guest's device from `source` to `target`: memory first while everything runs, and of the device's
 * state what can go before the stop; then stop, what is left of both, and run. If a step fails, the guest goes on where it was.
 * @throws VfmigError what the failing step threw
 */
export async function moveGuest(options: MoveOptions): Promise<MoveOutcome> {
  const { source, target } = options;
  const from = facets(source);
  const to = facets(target);
  const before = await copyMemoryAhead(options, from.logging);
  let moved: Moved;
  try {
    await to.migration.setState("resuming");
    const early = await carryAhead(options, from, to);
    moved = await stopCarryRun(options, from, to, early);
  } catch (error) {
    await goOn(options, from);
    throw error;
  }
  await from.logging.stop();
  // The guest runs by now, so that what it costs to compare memory is not in the figures of the move.
  const dirty = await weighLog({ before, after: source.ram, ...moved.pages }, turns(options.clock));
  source.ram.fill(0xa5);
  await source.device.reset();
  return { ...moved.outcome, dirty };
}

/** What came of a move, and the bitmaps to judge its log by. */
interface Moved {
  readonly outcome: Omit<MoveOutcome, "dirty">;
  readonly pages: { readonly reported: Uint8Array; readonly copied: Uint8Array };
}

interface Facets {
  readonly migration: MigrationFacet;
  readonly logging: DmaLoggingFacet;
}

/** Lets everything else that waits have its turn. */
function turns(clock: Clock): () => Promise<void> {
  return () => new Promise((resolve) => clock.soon(resolve));
}

/** Copies memory while the guest runs; returns what the target has of it then. */
async function copyMemoryAhead(
  options: MoveOptions,
  logging: DmaLoggingFacet,
): Promise<Uint8Array> {
  const { source, target, guest, clock, ramIova } = options;
  const range = { iova: ramIova, size: BigInt(source.ram.length) };
  guest.takeWrittenPages();
  await logging.start({ pageSize: PAGE, ranges: [range] });
  const turn = turns(clock);
  await copyWhileRunning(source.ram, target.ram, turn);
  const held = new Uint8Array(target.ram.length);
  await copyWhileRunning(target.ram, held, turn);
  const bitmap = new Uint8Array(source.ram.length / PAGE / 8);
  await logging.report(range, PAGE, bitmap);
  addPages(bitmap, guest.takeWrittenPages());
  copyPages(bitmap, source.ram, target.ram);
  copyPages(bitmap, target.ram, held);
  return held;
}

/** What of the state goes while the source runs; returns how many bytes. */
async function carryAhead(options: MoveOptions, from: Facets, to: Facets): Promise<number> {
  if (!from.migration.capabilities.preCopy) return 0;
  await from.migration.setState("pre-copy");
  const carried = await carryState(options, from.migration, to.migration);
  return carried.bytes;
}

async function stopCarryRun(
  options: MoveOptions,
  from: Facets,
  to: Facets,
  early: number,
): Promise<Moved> {
  const { source, target, guest, clock, slot, ramIova } = options;
  const stopRequested = clock.now();
  guest.pause();
  // From PRE_COPY no way leads through STOP that keeps the session.
  await from.migration.setState(early > 0 ? "stop-copy" : "stop");
  const stopped = clock.now();

  const bitmap = new Uint8Array(source.ram.length / PAGE / 8);
  await from.logging.report({ iova: ramIova, size: BigInt(source.ram.length) }, PAGE, bitmap);
  const reported = bitmap.slice();
  addPages(bitmap, guest.takeWrittenPages());
  const copiedPages = copyPages(bitmap, source.ram, target.ram);
  const copied = clock.now();

  await from.migration.setState("stop-copy");
  const sealed = clock.now();
  const late = await carryState(options, from.migration, to.migration);
  const carried = clock.now();
  slot.prepare(target.device);
  await to.migration.setState("stop");
  const replayed = clock.now();
  await to.migration.setState("running");
  slot.replace(target.device);
  guest.useMemory(target.ram);
  guest.resume();
  const resumed = clock.now();
  const phases = {
    stop: stopped - stopRequested,
    memory: copied - stopped,
    save: sealed - copied + late.readMs,
    carry: late.writtenMs,
    replay: replayed - carried,
    start: resumed - replayed,
  };
  const stateBytes = early + late.bytes;
  const dirtyPages = countPages(reported);
  return {
    outcome: { stopRequested, resumed, phases, stateBytes, dirtyPages, copiedPages },
    pages: { reported, copied: bitmap },
  };
}

interface Carried {
  readonly bytes: number;
  readonly readMs: number;
  readonly writtenMs: number;
}

async function carryState(
  { clock, onState }: MoveOptions,
  from: MigrationFacet,
  to: MigrationFacet,
): Promise<Carried> {
  const buffer = new Uint8Array(CHUNK);
  let [bytes, readMs, writtenMs] = [0, 0, 0];
  for (;;) {
    const began = clock.now();
    const length = await from.readData(buffer);
    const read = clock.now();
    readMs += read - began;
    if (length === 0) return { bytes, readMs, writtenMs };
    const chunk = buffer.subarray(0, length);
    onState?.(chunk);
    await to.writeData(chunk);
    writtenMs += clock.now() - read;
    bytes += length;
  }
}

/** After a failure the source goes on, and the target forgets what it was told. */
async function goOn(options: MoveOptions, from: Facets): Promise<void> {
  const { source, target, guest } = options;
  await target.device.reset().catch(() => {});
  if (from.migration.state === "error") await source.device.reset();
  else await from.migration.setState("running");
  await from.logging.stop();
  guest.resume();
}

function facets({ name, device }: Machine): Facets {
  const { migration, dmaLogging } = device;
  if (migration !== undefined && dmaLogging !== undefined) {
    return { migration, logging: dmaLogging };
  }
  const { driver, base } = device.info.identity;
  const missing = migration === undefined ? "no migration" : "no log of the device's writes";
  throw new VfmigError(
    "ERR_VFMIG_TESTKIT_NOT_MOVABLE",
    `Device "${name}" cannot be moved: its driver ${driver?.name ?? base.name} gives ${missing}. The guest keeps its device. Name a driver with migration in the configuration, or run traffic only with --repeat 0.`,
    { layer: "testkit", details: { device: name, driver: driver?.name, base: base.name } },
  );
}
