import type { RecordedAccess, RecordedEvent, RecordedMemory } from "../events.ts";

/** A recording in the order in which it can be done again. */
export interface ReplayPlan {
  readonly events: readonly RecordedEvent[];
  /** Reads that a later one of the same place takes the place of: their answer depended on the moment. */
  readonly superseded: ReadonlySet<RecordedEvent>;
  /** Steps with the answers that came later, by number. */
  readonly answered: ReadonlySet<number>;
}

/**
 * Orders a recording for its replay. What was in a page before the device looked at it first is put there
 * with the mapping; what the guest wrote is put there before the step in which the device found it.
 */
export function planReplay(events: readonly RecordedEvent[]): ReplayPlan {
  const ordered: RecordedEvent[] = [];
  /** Initial contents by the map call before them. */
  const initial = new Map<RecordedEvent, RecordedMemory[]>();
  const maps: Extract<RecordedEvent, { kind: "call" }>[] = [];
  for (const event of events) {
    if (event.kind === "call" && event.call.name === "map") maps.push(event);
    if (event.kind === "initial-memory") {
      const map = maps.findLast(({ call }) => call.name === "map" && holds(call, event));
      if (map !== undefined) initial.set(map, [...(initial.get(map) ?? []), event]);
      continue;
    }
    if (event.kind === "guest-memory") insertBeforeUse(ordered, event);
    else ordered.push(event);
  }
  const planned = ordered.flatMap((event) => [event, ...(initial.get(event) ?? [])]);
  return {
    events: planned,
    superseded: findSuperseded(planned),
    answered: new Set(events.flatMap((event) => (event.kind === "answer" ? [event.op] : []))),
  };
}

function holds(
  call: { readonly iova: number; readonly size: number },
  event: RecordedMemory,
): boolean {
  return event.iova >= call.iova && event.iova + event.data.length <= call.iova + call.size;
}

/**
 * The device found it after the step that was the last: the guest wrote it before that, since it has to
 * tell a device of what it wrote. Where the device wrote there after that step, it stays behind that.
 */
function insertBeforeUse(ordered: RecordedEvent[], event: RecordedMemory): void {
  for (let at = ordered.length - 1; at >= 0; at--) {
    const before = ordered[at];
    if (before === undefined || before.kind === "call") break;
    if ("iova" in before && overlap(before, event)) break;
    if (before.kind === "read" || before.kind === "write") {
      ordered.splice(at, 0, event);
      return;
    }
  }
  ordered.push(event);
}

/** True where two stretches share a byte. */
export function overlap(
  a: { readonly iova: number; readonly data: Uint8Array },
  b: { readonly iova: number; readonly data: Uint8Array },
): boolean {
  return a.iova < b.iova + b.data.length && b.iova < a.iova + a.data.length;
}

/** Of the reads of one place without a step between that could change anything, the last one counts. */
export function findSuperseded(events: readonly RecordedEvent[]): ReadonlySet<RecordedEvent> {
  const superseded = new Set<RecordedEvent>();
  const last = new Map<string, RecordedAccess<"read">>();
  for (const event of events) {
    if (event.kind === "write" || event.kind === "call") last.clear();
    if (event.kind !== "read") continue;
    const place = `${event.region}:${event.offset}:${event.data.length}`;
    const earlier = last.get(place);
    if (earlier !== undefined) superseded.add(earlier);
    last.set(place, event);
  }
  return superseded;
}
