import { VfmigError } from "../errors/vfmig-error.ts";
import {
  MIGRATION_STATE,
  type Arc,
  type MigrationCapabilities,
  type MigrationState,
} from "./states.ts";

type Living = Exclude<MigrationState, "error">;

/**
 * First step from a state (row) towards another (column), for a device with everything; a step into a
 * state that the device lacks is jumped over by looking up again from there. The same table as the
 * kernel's `vfio_mig_get_next_state` (`drivers/vfio/vfio_main.c`).
 */
const FIRST_STEP: Readonly<Record<Living, Readonly<Record<Living, MigrationState>>>> = {
  stop: {
    stop: "stop",
    running: "running-p2p",
    "stop-copy": "stop-copy",
    resuming: "resuming",
    "running-p2p": "running-p2p",
    "pre-copy": "running-p2p",
    "pre-copy-p2p": "running-p2p",
  },
  running: {
    stop: "running-p2p",
    running: "running",
    "stop-copy": "running-p2p",
    resuming: "running-p2p",
    "running-p2p": "running-p2p",
    "pre-copy": "pre-copy",
    "pre-copy-p2p": "running-p2p",
  },
  "stop-copy": {
    stop: "stop",
    running: "stop",
    "stop-copy": "stop-copy",
    resuming: "stop",
    "running-p2p": "stop",
    "pre-copy": "error",
    "pre-copy-p2p": "error",
  },
  resuming: {
    stop: "stop",
    running: "stop",
    "stop-copy": "stop",
    resuming: "resuming",
    "running-p2p": "stop",
    "pre-copy": "stop",
    "pre-copy-p2p": "stop",
  },
  "running-p2p": {
    stop: "stop",
    running: "running",
    "stop-copy": "stop",
    resuming: "stop",
    "running-p2p": "running-p2p",
    "pre-copy": "running",
    "pre-copy-p2p": "pre-copy-p2p",
  },
  "pre-copy": {
    stop: "running",
    running: "running",
    "stop-copy": "pre-copy-p2p",
    resuming: "running",
    "running-p2p": "running",
    "pre-copy": "pre-copy",
    "pre-copy-p2p": "pre-copy-p2p",
  },
  "pre-copy-p2p": {
    stop: "running-p2p",
    running: "running-p2p",
    "stop-copy": "stop-copy",
    resuming: "running-p2p",
    "running-p2p": "running-p2p",
    "pre-copy": "pre-copy",
    "pre-copy-p2p": "pre-copy-p2p",
  },
};

const STATES: readonly Living[] = [
  "stop",
  "running",
  "stop-copy",
  "resuming",
  "running-p2p",
  "pre-copy",
  "pre-copy-p2p",
];

/** True where a device with these capabilities has the state and a user may ask for it. */
export function hasState(
  state: MigrationState,
  capabilities: MigrationCapabilities,
): state is Living {
  switch (state) {
    case "error":
      return false;
    case "running-p2p":
      return capabilities.p2p;
    case "pre-copy":
      return capabilities.preCopy;
    case "pre-copy-p2p":
      return capabilities.p2p && capabilities.preCopy;
    default:
      return Object.hasOwn(MIGRATION_STATE, state);
  }
}

/** True in the states that share one saving session. */
export function isSaving(state: MigrationState): boolean {
  return state === "pre-copy" || state === "pre-copy-p2p" || state === "stop-copy";
}

/**
 * The state after one step from `from` towards `to`; `from` itself where they are equal.
 * @throws VfmigError `ERR_VFMIG_MIGRATION_STATE` for a target that the device does not have,
 * `ERR_VFMIG_MIGRATION_LOST` in ERROR, `ERR_VFMIG_MIGRATION_BLOCKED` where no path leads there
 */
export function nextState(
  from: MigrationState,
  to: MigrationState,
  capabilities: MigrationCapabilities,
): MigrationState {
  checkTarget(to, capabilities);
  if (from === "error") throw lost(to);
  let step = FIRST_STEP[from][to];
  // Ends: every chain of lookups towards one target reaches it, or ERROR, in at most seven steps.
  while (step !== "error" && !hasState(step, capabilities)) step = FIRST_STEP[step][to];
  if (step === "error") throw blocked(from, to);
  return step;
}

/** As {@link nextState}, as the arc that a sub-driver implements; undefined where nothing is to do. */
export function nextArc(
  from: MigrationState,
  to: MigrationState,
  capabilities: MigrationCapabilities,
): Arc | undefined {
  const step = nextState(from, to, capabilities);
  return step === from ? undefined : arcBetween(from, step);
}

/**
 * The states visited after `from` on the way to `to`, `to` last; empty where they are equal.
 * @throws VfmigError as {@link nextState}
 */
export function migrationPath(
  from: MigrationState,
  to: MigrationState,
  capabilities: MigrationCapabilities,
): readonly MigrationState[] {
  const path: MigrationState[] = [];
  let at = from;
  checkTarget(to, capabilities);
  if (at === "error") throw lost(to);
  while (at !== to) {
    at = nextState(at, to, capabilities);
    path.push(at);
  }
  return path;
}

/** The name of one step; `from` and `to` are neighbours on a path. */
export function arcBetween(from: MigrationState, to: MigrationState): Arc {
  // Only steps of the table above come here, and each of them is an arc.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return `${from}->${to}` as Arc;
}

/** The arcs that a sub-driver with these capabilities implements: 6, 8, 9 or 15. */
export function requiredArcs(capabilities: MigrationCapabilities): readonly Arc[] {
  const states = STATES.filter((state) => hasState(state, capabilities));
  const arcs = new Set<Arc>();
  for (const from of states) {
    for (const to of states) {
      if (from === "stop-copy" && (to === "pre-copy" || to === "pre-copy-p2p")) continue;
      const arc = nextArc(from, to, capabilities);
      if (arc !== undefined) arcs.add(arc);
    }
  }
  return [...arcs];
}

/**
 * Refuses a target that a user cannot ask for.
 * @throws VfmigError `ERR_VFMIG_MIGRATION_STATE`
 */
export function checkTarget(
  target: MigrationState,
  capabilities: MigrationCapabilities,
): asserts target is Living {
  if (hasState(target, capabilities)) return;
  throw new VfmigError(
    "ERR_VFMIG_MIGRATION_STATE",
    `Migration state ${JSON.stringify(target) ?? typeof target} cannot be requested: ` +
      `${target === "error" ? "ERROR is never a target" : "this device does not have it"}; ` +
      "ask for a state of its capabilities.",
    { layer: "core", details: { target, capabilities, errno: "EINVAL" } },
  );
}

function lost(target: MigrationState): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MIGRATION_LOST",
    `The device is in ERROR, so it cannot go to ${target}; reset it first.`,
    { layer: "core", details: { from: "error", target, errno: "EIO" } },
  );
}

function blocked(from: MigrationState, to: MigrationState): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_MIGRATION_BLOCKED",
    `No path leads from ${from} to ${to}: the final state is already being copied. ` +
      "Go through stop first; state and session are unchanged.",
    { layer: "core", details: { from, target: to, errno: "EINVAL" } },
  );
}
