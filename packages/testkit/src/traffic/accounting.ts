import type { FlowReport } from "@vfmig/core";
import type { LedgerSnapshot } from "./flow-ledger.ts";
import { SequenceRanges } from "./sequence-ranges.ts";

/** Why frames were stopped: the device moved, or a pair changed between its own rings and the guest's. */
export type StopKind = "blackout" | "switch";

/** A stretch of time in which a device or a queue was stopped on purpose, in `CLOCK_MONOTONIC` milliseconds. */
export interface StopWindow {
  readonly kind: StopKind;
  readonly fromMs: number;
  readonly toMs: number;
}

/** What one sender says of one flow. */
export interface SentFlow {
  readonly flow: number;
  /** Sequence numbers 0 to `sent - 1` went out. */
  readonly sent: number;
}

/** Sequence numbers of one flow that a stopped queue dropped inside windows of one kind. */
export interface StopDrops {
  readonly kind: StopKind;
  readonly flow: number;
  readonly ranges: readonly (readonly [number, number])[];
}

export interface AccountRequest {
  readonly direction: FlowReport["direction"];
  /** Names by flow number. */
  readonly names: readonly string[];
  readonly sent: readonly SentFlow[];
  readonly received: LedgerSnapshot;
  /** Only what arrives on the wire can meet a stopped device; the other direction gives none. */
  readonly drops?: readonly StopDrops[];
}

/** Name of the line that holds what no flow accounts for. */
export const UNATTRIBUTED = "unattributed";

/**
 * Balances one direction, flow by flow: sent = delivered + duringBlackout + duringSwitch + lost. A frame
 * that was not delivered counts as one of a window only where the device's port reported its drop; all
 * else is lost.
 */
export function accountFlows(request: AccountRequest): FlowReport[] {
  const received = new Map(request.received.flows.map((entry) => [entry.flow, entry]));
  const dropsOf = (kind: StopKind): ReadonlyMap<number, StopDrops["ranges"]> =>
    new Map(
      request.drops?.filter((drop) => drop.kind === kind).map(({ flow, ranges }) => [flow, ranges]),
    );
  const blackouts = dropsOf("blackout");
  const switches = dropsOf("switch");
  const reports: FlowReport[] = [];
  let unexpected = request.received.corruptedElsewhere;
  for (const { flow, sent } of request.sent) {
    const entry = received.get(flow);
    const delivered = SequenceRanges.from(entry?.ranges ?? []);
    const missing = delivered.missing(sent);
    const duringBlackout = overlap(missing, blackouts.get(flow) ?? []);
    const duringSwitch = overlap(missing, switches.get(flow) ?? []);
    const missed = missing.reduce((sum, [from, to]) => sum + to - from, 0);
    // A sequence number that was never sent is made up, whatever its check says.
    const madeUp = delivered.size - (sent - missed);
    unexpected += madeUp;
    reports.push({
      direction: request.direction,
      flow: request.names[flow] ?? `flow ${flow}`,
      sent,
      delivered: sent - missed,
      duringBlackout,
      duringSwitch,
      lost: missed - duringBlackout - duringSwitch,
      duplicated: entry?.duplicated ?? 0,
      reordered: entry?.reordered ?? 0,
      corrupted: entry?.corrupted ?? 0,
    });
  }
  if (unexpected > 0) reports.push(unattributed(request.direction, unexpected));
  return reports;
}

function unattributed(direction: FlowReport["direction"], corrupted: number): FlowReport {
  const none = {
    sent: 0,
    delivered: 0,
    duringBlackout: 0,
    duringSwitch: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
  };
  return { direction, flow: UNATTRIBUTED, ...none, corrupted };
}

/** How many numbers are in both lists of sorted ranges. */
function overlap(
  left: readonly (readonly [number, number])[],
  right: readonly (readonly [number, number])[],
): number {
  let sum = 0;
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const [leftFrom, leftTo] = left[l] ?? [0, 0];
    const [rightFrom, rightTo] = right[r] ?? [0, 0];
    sum += Math.max(0, Math.min(leftTo, rightTo) - Math.max(leftFrom, rightFrom));
    if (leftTo < rightTo) l++;
    else r++;
  }
  return sum;
}
