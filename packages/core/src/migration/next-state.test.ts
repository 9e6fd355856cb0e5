import { describe, expect, it } from "vitest";
import { hasState, migrationPath, nextArc, requiredArcs } from "./next-state.ts";
import { MIGRATION_STATE, type MigrationCapabilities, type MigrationState } from "./states.ts";

const isState = (name: string): name is MigrationState => Object.hasOwn(MIGRATION_STATE, name);

const NAMES = Object.keys(MIGRATION_STATE).filter(isState);

const state = (value: string): MigrationState =>
  NAMES.find((name) => MIGRATION_STATE[name] === Number(value)) ?? "error";

/** STOP_COPY only, +P2P, +PRE_COPY, all three. */
const CAPABILITIES: readonly MigrationCapabilities[] = [
  { p2p: false, preCopy: false },
  { p2p: true, preCopy: false },
  { p2p: false, preCopy: true },
  { p2p: true, preCopy: true },
];

/**
 * States visited after the start, for each set of capabilities in the order above; "-" is a state that
 * does not exist there, "E" a refusal. Numbers are those of `enum vfio_device_mig_state`.
 */
const TABLE = `
1 2 | 2 | 5 2 | 2 | 5 2
1 3 | 3 | 3 | 3 | 3
1 4 | 4 | 4 | 4 | 4
1 5 | - | 5 | - | 5
1 6 | - | - | 2 6 | 5 2 6
1 7 | - | - | - | 5 7
2 1 | 1 | 5 1 | 1 | 5 1
2 3 | 1 3 | 5 1 3 | 1 3 | 5 1 3
2 4 | 1 4 | 5 1 4 | 1 4 | 5 1 4
2 5 | - | 5 | - | 5
2 6 | - | - | 6 | 6
2 7 | - | - | - | 5 7
3 1 | 1 | 1 | 1 | 1
3 2 | 1 2 | 1 5 2 | 1 2 | 1 5 2
3 4 | 1 4 | 1 4 | 1 4 | 1 4
3 5 | - | 1 5 | - | 1 5
3 6 | - | - | E | E
3 7 | - | - | - | E
4 1 | 1 | 1 | 1 | 1
4 2 | 1 2 | 1 5 2 | 1 2 | 1 5 2
4 3 | 1 3 | 1 3 | 1 3 | 1 3
4 5 | - | 1 5 | - | 1 5
4 6 | - | - | 1 2 6 | 1 5 2 6
4 7 | - | - | - | 1 5 7
5 1 | - | 1 | - | 1
5 2 | - | 2 | - | 2
5 3 | - | 1 3 | - | 1 3
5 4 | - | 1 4 | - | 1 4
5 6 | - | - | - | 2 6
5 7 | - | - | - | 7
6 1 | - | - | 2 1 | 2 5 1
6 2 | - | - | 2 | 2
6 3 | - | - | 3 | 7 3
6 4 | - | - | 2 1 4 | 2 5 1 4
6 5 | - | - | - | 2 5
6 7 | - | - | - | 7
7 1 | - | - | - | 5 1
7 2 | - | - | - | 5 2
7 3 | - | - | - | 3
7 4 | - | - | - | 5 1 4
7 5 | - | - | - | 5
7 6 | - | - | - | 6
`;

/** Arcs by set of capabilities: 6, 8, 9, 15. */
const ARCS: readonly (readonly string[])[] = [
  ["2->1", "1->2", "1->3", "3->1", "1->4", "4->1"],
  ["2->5", "5->2", "5->1", "1->5", "1->3", "3->1", "1->4", "4->1"],
  ["2->1", "1->2", "1->3", "3->1", "1->4", "4->1", "2->6", "6->2", "6->3"],
  "2->5 5->2 5->1 1->5 1->3 3->1 1->4 4->1 2->6 6->2 6->7 7->6 5->7 7->5 7->3".split(" "),
];

const rows = TABLE.trim()
  .split("\n")
  .flatMap((line) => {
    const [pair = "", ...cells] = line.split("|").map((cell) => cell.trim());
    const [from = "", to = ""] = pair.split(" ");
    return CAPABILITIES.map((capabilities, set) => ({
      from: state(from),
      to: state(to),
      cell: cells[set] ?? "missing",
      capabilities,
    }));
  });

describe("migration paths", () => {
  it("covers every pair of different states for every set of capabilities", () => {
    expect(rows).toHaveLength(7 * 6 * 4);
  });

  it.each(rows.filter(({ cell }) => /^[1-7]/u.test(cell)))(
    "goes from $from to $to by '$cell' with $capabilities",
    ({ from, to, cell, capabilities }) => {
      expect(migrationPath(from, to, capabilities)).toEqual(cell.split(" ").map(state));
    },
  );

  it.each(rows.filter(({ cell }) => cell === "E"))(
    "is blocked from $from to $to with $capabilities",
    ({ from, to, capabilities }) => {
      expect(() => migrationPath(from, to, capabilities)).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_MIGRATION_BLOCKED" }),
      );
    },
  );

  it.each(rows.filter(({ cell }) => cell === "-"))(
    "has no way from $from to $to with $capabilities, which lack one of them",
    ({ from, to, capabilities }) => {
      expect(hasState(from, capabilities) && hasState(to, capabilities)).toBe(false);
    },
  );

  it.each(rows.filter(({ to, capabilities }) => !hasState(to, capabilities)))(
    "refuses $to with $capabilities as a state that does not exist",
    ({ from, to, capabilities }) => {
      expect(() => migrationPath(from, to, capabilities)).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_MIGRATION_STATE" }),
      );
    },
  );

  it.each(CAPABILITIES)("never passes a saving or restoring state on the way with %o", (caps) => {
    const inner = rows
      .filter(({ capabilities, cell }) => capabilities === caps && !"-E".includes(cell))
      .filter(({ from, to }) => !(from === "pre-copy" && to === "stop-copy"))
      .flatMap(({ from, to }) => migrationPath(from, to, caps).slice(0, -1));
    expect(inner.filter((at) => !["stop", "running", "running-p2p"].includes(at))).toEqual([]);
  });

  it.each(CAPABILITIES.map((caps, set) => ({ caps, arcs: ARCS[set] ?? [] })))(
    "asks a sub-driver for exactly the $arcs.length arcs of $caps",
    ({ caps, arcs }) => {
      const wanted = arcs.map((arc) => arc.split("->").map(state).join("->"));
      expect(requiredArcs(caps).toSorted()).toEqual(wanted.toSorted());
    },
  );

  it("has nothing to do where the state is the wanted one", () => {
    for (const caps of CAPABILITIES) {
      for (const name of NAMES) {
        if (!hasState(name, caps)) continue;
        expect(migrationPath(name, name, caps)).toEqual([]);
        expect(nextArc(name, name, caps)).toBeUndefined();
      }
    }
  });

  it.each(["error", "8", "", "toString", "__proto__", undefined, Number.NaN])(
    "refuses %s as a target",
    (target) => {
      for (const caps of CAPABILITIES) {
        // @ts-expect-error what a peer sends need not be a state
        expect(() => migrationPath("running", target, caps)).toThrow(
          expect.objectContaining({ code: "ERR_VFMIG_MIGRATION_STATE" }),
        );
      }
    },
  );

  it("leads nowhere from ERROR", () => {
    for (const caps of CAPABILITIES) {
      expect(() => migrationPath("error", "running", caps)).toThrow(
        expect.objectContaining({ code: "ERR_VFMIG_MIGRATION_LOST" }),
      );
    }
  });
});
