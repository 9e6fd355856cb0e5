import type { FlowReport, MoveReport, ScenarioReport, ServedDevice } from "@vfmig/core";
import { type DirtySummary, summarizeDirty } from "./dirty-summary.ts";
import { sum } from "./numbers.ts";

/** What `vfmig demo --json` prints. Times in milliseconds; arrays under `migration` have one entry per move. */
export interface DemoJson {
  readonly schemaVersion: 1;
  readonly moves: number;
  readonly seed: number;
  readonly rate: number;
  readonly seconds: number;
  readonly driver: {
    readonly name: string;
    readonly version: string;
    readonly integrity: string | null;
    readonly privileges: readonly string[];
  };
  readonly base: { readonly name: string; readonly version: string };
  /** What the driver says is trapped. */
  readonly trapped: unknown;
  readonly frames: {
    /** Frames delivered to the guest, and from it. */
    readonly toGuest: number;
    readonly fromGuest: number;
    readonly sentToGuest: number;
    readonly sentFromGuest: number;
    readonly duringBlackout: number;
    /** Frames for a queue that stood still to change between its own rings and shadow ones. */
    readonly duringSwitch: number;
    readonly lost: number;
    readonly duplicated: number;
    readonly reordered: number;
    readonly corrupted: number;
    /** Frames that a device did not take, by reason; `queue-disabled` inside a blackout is no loss. */
    readonly refused: Readonly<Record<string, number>>;
    /** Milliseconds for which link flow control held frames back from a device. */
    readonly heldMs: number;
  };
  readonly migration: {
    readonly stopToRunMs: readonly number[];
    readonly stateBytes: readonly number[];
    readonly dirtyPages: readonly number[];
    /** What the device's log named at each stop, against what had changed. */
    readonly dirty: readonly MoveReport["dirty"][];
    readonly copiedPages: readonly number[];
    readonly framesDuringBlackout: readonly number[];
    readonly ringIndices: readonly MoveReport["ringIndices"][];
    readonly phases: readonly MoveReport["phases"][];
  };
  /** Over all moves; null where there was none. */
  readonly dirty: DirtySummary | null;
  /** Windows in which a queue pair changed between its own rings and shadow ones; one entry each. */
  readonly switches: {
    readonly count: number;
    readonly ms: readonly number[];
    readonly frames: readonly number[];
    readonly kinds: Readonly<Record<string, number>>;
  };
  readonly flows: readonly FlowReport[];
}

/** Puts a scenario's report into the shape that is printed. */
export function demoJson(
  devices: readonly ServedDevice[],
  report: ScenarioReport,
  run: { readonly seed: number; readonly rate: number },
): DemoJson {
  const identity = devices[0]?.identity;
  const driver = identity?.driver;
  const total = (
    field:
      | "sent"
      | "delivered"
      | "duringBlackout"
      | "duringSwitch"
      | "lost"
      | "duplicated"
      | "reordered"
      | "corrupted",
    direction?: FlowReport["direction"],
  ): number =>
    sum(
      report.flows
        .filter((flow) => direction === undefined || flow.direction === direction)
        .map((flow) => flow[field]),
    );
  const base = identity?.base ?? { name: "none", version: "0.0.0" };
  return {
    schemaVersion: 1,
    moves: report.moves.length,
    seed: run.seed,
    rate: run.rate,
    seconds: report.seconds,
    driver: {
      name: driver?.name ?? base.name,
      version: driver?.version ?? base.version,
      integrity: driver?.integrity ?? null,
      privileges: driver?.privileges ?? [],
    },
    base,
    trapped: report.driverStatus["trapped"] ?? null,
    frames: {
      toGuest: total("delivered", "toGuest"),
      fromGuest: total("delivered", "fromGuest"),
      sentToGuest: total("sent", "toGuest"),
      sentFromGuest: total("sent", "fromGuest"),
      duringBlackout: total("duringBlackout"),
      duringSwitch: total("duringSwitch"),
      lost: total("lost"),
      duplicated: total("duplicated"),
      reordered: total("reordered"),
      corrupted: total("corrupted"),
      refused: report.refusals,
      heldMs: report.heldMs,
    },
    migration: {
      stopToRunMs: report.moves.map((move) => move.stopToRunMs),
      stateBytes: report.moves.map((move) => move.stateBytes),
      dirtyPages: report.moves.map((move) => move.dirtyPages),
      dirty: report.moves.map((move) => move.dirty),
      copiedPages: report.moves.map((move) => move.copiedPages),
      framesDuringBlackout: report.moves.map((move) => move.framesDuringBlackout),
      ringIndices: report.moves.map((move) => move.ringIndices),
      phases: report.moves.map((move) => move.phases),
    },
    dirty: summarizeDirty(report.moves.map((move) => move.dirty)),
    switches: {
      count: report.switches.length,
      ms: report.switches.map(({ ms }) => ms),
      frames: report.switches.map(({ frames }) => frames),
      kinds: countBy(report.switches.map(({ kind }) => kind)),
    },
    flows: report.flows,
  };
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
