import type { FlowReport } from "@vfmig/core";
import type { LedgerSnapshot } from "./flow-ledger.ts";
import { SequenceRanges } from "./sequence-ranges.ts";

/** A stretch of time in which a device was stopped on purpose, in `CLOCK_MONOTONIC` milliseconds. */
export interface BlackoutWindow {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What one sender says of one flow. */
export interface SentFlow {
  readonly flow: number;
  /** Sequence numbers 0 to `sent - 1` went out. */
  readonly sent: number;
}

/** Sequence numbers of one flow that a stopped device dropped inside a blackout window. */
export interface BlackoutDrops {
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
  readonly blackout?: readonly BlackoutDrops[];
}

/** Name of the line that holds what no flow accounts for. */
export const UNATTRIBUTED = "unattributed";

/**
 * Balances one direction, flow by flow: sent = delivered + duringBlackout + lost. A frame that was
 * not delivered counts as blackout only where the device's port reported its drop; all else is lost.
 */
export function accountFlows(request: AccountRequest): FlowReport[] {
  const received = new Map(request.received.flows.map((entry) => [entry.flow, entry]));
  const drops = new Map(request.blackout?.map((entry) => [entry.flow, entry.ranges]));
  const reports: FlowReport[] = [];
  let unexpected = request.received.corruptedElsewhere;
  for (const { flow, sent } of request.sent) {
    const entry = received.get(flow);
    const delivered = SequenceRanges.from(entry?.ranges ?? []);
    const missing = delivered.missing(sent);
    const duringBlackout = overlap(missing, drops.get(flow) ?? []);
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
      lost: missed - duringBlackout,
      duplicated: entry?.duplicated ?? 0,
      reordered: entry?.reordered ?? 0,
      corrupted: entry?.corrupted ?? 0,
    });
  }
  if (unexpected > 0) reports.push(unattributed(request.direction, unexpected));
  return reports;
}

function unattributed(direction: FlowReport["direction"], corrupted: number): FlowReport {
  const none = { sent: 0, delivered: 0, duringBlackout: 0, lost: 0, duplicated: 0, reordered: 0 };
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
