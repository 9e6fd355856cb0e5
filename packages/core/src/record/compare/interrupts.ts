import { DMA_PAGE_SIZE as PAGE } from "../../memory/dma-map.ts";
import type { RecordedEvent, RecordedSignal } from "../events.ts";
import type { Difference } from "./difference.ts";

type Signal = RecordedSignal<"signal" | "missed">;

/**
 * Differences of interrupts. How many come is the device's affair, since they may be throttled and merged;
 * that they come is not. So a vector that never fires on one side only counts; and, where the run that both
 * repeat is given, one that was waited for in vain though the device had written where it wrote before that
 * interrupt, and had not told of it.
 */
export function compareInterrupts(
  left: readonly RecordedEvent[],
  right: readonly RecordedEvent[],
  horizon: number,
  repeated: readonly RecordedEvent[] = [],
): readonly Difference[] {
  const told = toldPages(repeated);
  const a = signalsOf(left, horizon, told);
  const b = signalsOf(right, horizon, told);
  return [...oneSided(a, b, false), ...oneSided(b, a, true)];
}

interface Signals {
  /** First signal of each vector. */
  readonly first: ReadonlyMap<string, Signal>;
  /** Vectors that were waited for in vain, by vector and step. */
  readonly missed: ReadonlyMap<string, Signal>;
  /** Of these, those after which the guest does not know what the device wrote. */
  readonly untold: ReadonlyMap<string, Signal>;
}

/** At a step of its own the guest may look, and needs no interrupt any more. */
function isStep({ kind }: RecordedEvent): boolean {
  return kind === "read" || kind === "write" || kind === "call";
}

/** Pages of which the signals of a run told, by vector and step. */
function toldPages(events: readonly RecordedEvent[]): ReadonlyMap<string, ReadonlySet<number>> {
  const told = new Map<string, ReadonlySet<number>>();
  let written = new Set<number>();
  for (const event of events) {
    if (isStep(event)) written.clear();
    if (event.kind === "device-memory") written.add(pageOf(event.iova));
    if (event.kind !== "signal") continue;
    const key = `${vectorOf(event)} @${event.op}`;
    told.set(key, written.union(told.get(key) ?? new Set()));
    written = new Set();
  }
  return told;
}

function pageOf(iova: number): number {
  return Math.floor(iova / PAGE);
}

function signalsOf(
  events: readonly RecordedEvent[],
  horizon: number,
  told: ReadonlyMap<string, ReadonlySet<number>>,
): Signals {
  const first = new Map<string, Signal>();
  const missed = new Map<string, Signal>();
  const untold = new Map<string, Signal>();
  const written = new Set<number>();
  for (const event of events) {
    if (event.op >= horizon) break;
    if (isStep(event)) written.clear();
    if (event.kind === "device-memory") written.add(pageOf(event.iova));
    if (event.kind === "signal") {
      written.clear();
      if (!first.has(vectorOf(event))) first.set(vectorOf(event), event);
    }
    if (event.kind === "missed") {
      const key = `${vectorOf(event)} @${event.op}`;
      missed.set(key, event);
      const pages = told.get(key);
      if (pages !== undefined && pages.size > 0 && pages.isSubsetOf(written))
        untold.set(key, event);
    }
  }
  return { first, missed, untold };
}

function oneSided(present: Signals, absent: Signals, swapped: boolean): Difference[] {
  const found: Difference[] = [];
  for (const [vector, { op }] of present.first) {
    if (absent.first.has(vector)) continue;
    found.push(difference(op, vector, vector, "raised", "never raised", swapped));
  }
  for (const [key, event] of absent.untold) {
    const vector = vectorOf(event);
    if (present.missed.has(key) || !absent.first.has(vector)) continue;
    const what = "not raised, though the device has written";
    found.push(difference(event.op, key, vector, "raised", what, swapped));
  }
  return found;
}

function difference(
  op: number,
  key: string,
  vector: string,
  present: string,
  absent: string,
  swapped: boolean,
): Difference {
  const [left, right] = swapped ? [absent, present] : [present, absent];
  return {
    op,
    kind: "interrupt",
    key: `interrupt ${key}`,
    place: `interrupt ${vector}`,
    left,
    right,
  };
}

function vectorOf({ index, vector }: Signal): string {
  return `index ${index}, vector ${vector}`;
}
