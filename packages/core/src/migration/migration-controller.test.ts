import { describe, expect, it } from "vitest";
import { VfmigError } from "../errors/vfmig-error.ts";
import { codeOf, composed, migrationOf, readAll, type Composed } from "../testing/composed.ts";
import { settle } from "../testing/fake-clock.ts";
import { hasState, isSaving, migrationPath, requiredArcs } from "./next-state.ts";
import { MIGRATION_STATE, type MigrationCapabilities, type MigrationState } from "./states.ts";

const isState = (name: string): name is MigrationState => Object.hasOwn(MIGRATION_STATE, name);
const STATES = Object.keys(MIGRATION_STATE).filter(isState);

const CAPABILITIES: readonly MigrationCapabilities[] = [
  { p2p: false, preCopy: false },
  { p2p: true, preCopy: false },
  { p2p: false, preCopy: true },
  { p2p: true, preCopy: true },
];

const never = (): Promise<void> => Promise.withResolvers<void>().promise;

/** The stream of a source that is equal to every target here. */
async function stateOf(source?: Composed): Promise<Uint8Array> {
  const from = source ?? (await composed());
  await migrationOf(from).setState("stop-copy");
  return readAll(from);
}

/** Brings a device to `state`, with all that belongs into its session. */
async function bring(it: Composed, state: MigrationState, stream: Uint8Array): Promise<void> {
  await migrationOf(it).setState(state);
  if (state === "resuming") await migrationOf(it).writeData(stream);
}

describe("the state machine", () => {
  it.each(CAPABILITIES)("runs the arcs of every path, in order, with %o", async (caps) => {
    const stream = await stateOf(await composed(caps));
    const states = STATES.filter((state) => hasState(state, caps));
    for (const from of states) {
      for (const to of states) {
        if (from === "stop-copy" && to.startsWith("pre-copy")) continue;
        const it = await composed(caps);
        await bring(it, from, stream);
        const before = it.sub.arcs.length;
        await migrationOf(it).setState(to);
        const path = [from, ...migrationPath(from, to, caps)];
        const arcs = path.slice(1).map((state, at) => `${path[at]}->${state}`);
        expect(it.sub.arcs.slice(before)).toEqual(arcs);
        expect(migrationOf(it).state).toBe(to);
      }
    }
  });

  it("refuses STOP_COPY to PRE_COPY and keeps state and session", async () => {
    const it = await composed();
    const migration = migrationOf(it);
    await migration.setState("stop-copy");
    for (const target of ["pre-copy", "pre-copy-p2p"] as const) {
      expect(await codeOf(migration.setState(target))).toBe("ERR_VFMIG_MIGRATION_BLOCKED");
      expect(migration.state).toBe("stop-copy");
    }
    expect((await readAll(it)).length).toBeGreaterThan(0);
  });

  it("refuses ERROR, unknown states and those of missing capabilities without an arc", async () => {
    const it = await composed({ p2p: false, preCopy: false });
    for (const target of ["error", "running-p2p", "pre-copy", "pre-copy-p2p", "8"]) {
      // @ts-expect-error what a peer sends need not be a state
      const code = await codeOf(migrationOf(it).setState(target));
      expect(code).toBe("ERR_VFMIG_MIGRATION_STATE");
    }
    expect(it.sub.arcs).toEqual([]);
    expect(migrationOf(it).state).toBe("running");
  });

  it("does nothing, with success, where the state is the wanted one", async () => {
    const it = await composed();
    for (const state of ["running", "stop-copy"] as const) {
      await migrationOf(it).setState(state);
      const before = it.sub.arcs.length;
      await migrationOf(it).setState(state);
      expect(it.sub.arcs).toHaveLength(before);
    }
  });

  it("runs requests one after the other, in the order in which they came", async () => {
    const it = await composed({ p2p: false, preCopy: false });
    const gate = Promise.withResolvers<void>();
    it.sub.duties.set("running->stop", () => gate.promise);
    const all = Promise.all(
      (["stop-copy", "running", "resuming"] as const).map((s) => migrationOf(it).setState(s)),
    );
    await settle();
    expect(it.sub.arcs).toEqual(["running->stop"]);
    gate.resolve();
    await all;
    expect(it.sub.arcs).toEqual([
      "running->stop",
      "stop->stop-copy",
      "stop-copy->stop",
      "stop->running",
      "running->stop",
      "stop->resuming",
    ]);
  });
});

const FAILURES = CAPABILITIES.flatMap((caps) => requiredArcs(caps).map((arc) => ({ caps, arc })));

describe("arcs that fail", () => {
  it.each(FAILURES)("keeps the state before $arc when it throws, with $caps", async (row) => {
    const it = await composed(row.caps);
    const stream = await stateOf(await composed(row.caps));
    const [from, to] = row.arc.split("->");
    await bring(it, from as MigrationState, stream);
    it.sub.duties.set(row.arc, () => Promise.reject(new Error("broken")));
    const failure = migrationOf(it).setState(to as MigrationState);
    await expect(failure).rejects.toMatchObject({
      code: "ERR_VFMIG_SUB_DRIVER_FAILED",
      layer: "plugin:fake-nic",
    });
    expect(migrationOf(it).state).toBe(from);
    it.sub.duties.clear();
    await it.device.reset();
    expect(migrationOf(it).state).toBe("running");
    await migrationOf(it).setState("stop-copy");
    expect((await readAll(it)).length).toBeGreaterThan(0);
  });

  it.each(FAILURES)("goes to ERROR when $arc never settles, with $caps", async (row) => {
    const it = await composed(row.caps);
    const stream = await stateOf(await composed(row.caps));
    const [from, to] = row.arc.split("->");
    await bring(it, from as MigrationState, stream);
    let given: AbortSignal | undefined;
    it.sub.duties.set(row.arc, (signal) => {
      given = signal;
      return never();
    });
    const code = codeOf(migrationOf(it).setState(to as MigrationState));
    await it.clock.advance(29_999);
    expect(given?.aborted).toBe(false);
    await it.clock.advance(1);
    expect(await code).toBe("ERR_VFMIG_MIGRATION_TIMEOUT");
    expect(given?.aborted).toBe(true);
    expect(migrationOf(it).state).toBe("error");
    expect(await codeOf(migrationOf(it).setState("running"))).toBe("ERR_VFMIG_MIGRATION_LOST");
    it.sub.duties.clear();
    const reset = it.device.reset();
    await it.clock.advance(1_000);
    await reset;
    expect(migrationOf(it).state).toBe("running");
    await migrationOf(it).setState("stop-copy");
    expect((await readAll(it)).length).toBeGreaterThan(0);
    expect(it.clock.waiting).toBe(0);
  });

  it("stops the walk at the state reached so far", async () => {
    const it = await composed();
    it.sub.duties.set("running-p2p->stop", () => Promise.reject(new Error("broken")));
    await expect(migrationOf(it).setState("stop-copy")).rejects.toThrow("broken");
    expect(migrationOf(it).state).toBe("running-p2p");
    expect(it.sub.arcs).toEqual(["running->running-p2p", "running-p2p->stop"]);
  });

  it("goes to ERROR when the sub-driver says that its device is lost", async () => {
    const it = await composed();
    const lost = new VfmigError("ERR_VFMIG_MIGRATION_LOST", "the PF is gone", { layer: "base" });
    it.sub.duties.set("running->running-p2p", () => Promise.reject(lost));
    await expect(migrationOf(it).setState("stop")).rejects.toThrow("the PF is gone");
    expect(migrationOf(it).state).toBe("error");
  });

  it("takes an arc that throws at once like one that fails later", async () => {
    const it = await composed();
    it.sub.duties.set("running->running-p2p", () => {
      // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error
      throw "just words";
    });
    await expect(migrationOf(it).setState("stop")).rejects.toThrow("just words");
    expect(migrationOf(it).state).toBe("running");
  });

  it("keeps the base's layer on an error that is the base's", async () => {
    const it = await composed();
    it.base.fail.set("writeRegion", new Error("bus error"));
    it.sub.duties.set("running->running-p2p", async () => {
      it.sub.context?.base.writeRegion(0, 0, new Uint8Array(4));
    });
    await expect(migrationOf(it).setState("stop")).rejects.toMatchObject({
      code: "ERR_VFMIG_BASE_FAILED",
      layer: "base",
    });
  });

  it("refuses a state change from inside an arc, also after an await", async () => {
    const it = await composed();
    it.sub.duties.set("running->running-p2p", async () => {
      await settle();
      await migrationOf(it).setState("running");
    });
    const code = await codeOf(migrationOf(it).setState("running-p2p"));
    expect(code).toBe("ERR_VFMIG_MIGRATION_REENTRY");
    expect(migrationOf(it).state).toBe("running");
  });

  it("refuses a reset from inside an arc", async () => {
    const it = await composed();
    it.sub.duties.set("running->running-p2p", () => it.device.reset());
    const code = await codeOf(migrationOf(it).setState("running-p2p"));
    expect(code).toBe("ERR_VFMIG_MIGRATION_REENTRY");
  });

  it("lets work that an arc started change the state once the arc is over", async () => {
    const it = await composed();
    const later = Promise.withResolvers<void>();
    it.sub.duties.set("running->running-p2p", async () => {
      setImmediate(() => setImmediate(() => later.resolve(migrationOf(it).setState("running"))));
    });
    await migrationOf(it).setState("running-p2p");
    await later.promise;
    expect(migrationOf(it).state).toBe("running");
  });
});

describe("reset", () => {
  const living = STATES.filter((state) => state !== "error");

  it.each(living)("leads from %s to RUNNING, and a new session works", async (state) => {
    const it = await composed();
    const stream = await stateOf();
    await bring(it, state, stream);
    await it.device.reset();
    expect(migrationOf(it).state).toBe("running");
    expect(await codeOf(migrationOf(it).readData(new Uint8Array(8)))).toBe(
      "ERR_VFMIG_MIGRATION_SESSION",
    );
    await migrationOf(it).setState("resuming");
    await migrationOf(it).writeData(stream);
    await migrationOf(it).setState("running");
    expect(it.sub.loaded.at(-1)).toEqual({ type: "registers", value: { a: 1 } });
  });

  it.each(requiredArcs({ p2p: true, preCopy: true }))("cancels %s while it runs", async (arc) => {
    const it = await composed();
    const [from, to] = arc.split("->");
    await bring(it, from as MigrationState, await stateOf());
    let aborted = false;
    it.sub.duties.set(arc, async (signal) => {
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
      });
      aborted = true;
    });
    const code = codeOf(migrationOf(it).setState(to as MigrationState));
    await settle();
    await it.device.reset();
    expect(await code).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    expect(aborted).toBe(true);
    expect(migrationOf(it).state).toBe("running");
  });

  it("cancels an arc that ignores it, after a grace", async () => {
    const it = await composed();
    it.sub.duties.set("running->running-p2p", never);
    const code = codeOf(migrationOf(it).setState("stop"));
    await settle();
    const reset = it.device.reset();
    expect(await code).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    await it.clock.advance(999);
    expect(it.base.calls).not.toContain("reset");
    await it.clock.advance(1);
    await reset;
    expect(migrationOf(it).state).toBe("running");
  });

  it("voids the requests that waited, and serves those that come after it", async () => {
    const it = await composed();
    it.sub.duties.set("running->running-p2p", never);
    const first = codeOf(migrationOf(it).setState("stop"));
    const waiting = codeOf(migrationOf(it).setState("stop-copy"));
    await settle();
    const reset = it.device.reset();
    it.sub.duties.clear();
    const after = migrationOf(it).setState("stop");
    await it.clock.advance(1_000);
    await reset;
    await after;
    expect([await first, await waiting]).toEqual(
      Array.from({ length: 2 }, () => "ERR_VFMIG_MIGRATION_CANCELLED"),
    );
    expect(migrationOf(it).state).toBe("stop");
  });

  it("voids also a waiting request for the state that the reset leads to", async () => {
    const it = await composed();
    it.sub.duties.set("running->running-p2p", never);
    const first = codeOf(migrationOf(it).setState("stop"));
    const waiting = codeOf(migrationOf(it).setState("running"));
    await settle();
    const reset = it.device.reset();
    await it.clock.advance(1_000);
    await reset;
    expect([await first, await waiting]).toEqual([
      "ERR_VFMIG_MIGRATION_CANCELLED",
      "ERR_VFMIG_MIGRATION_CANCELLED",
    ]);
  });

  it("stops a walk that is between two arcs", async () => {
    const it = await composed();
    let reset: Promise<void> | undefined;
    it.sub.duties.set("running->running-p2p", async () => {
      setImmediate(() => {
        reset = it.device.reset();
      });
    });
    it.sub.duties.set("running-p2p->stop", never);
    const code = codeOf(migrationOf(it).setState("stop"));
    await it.clock.advance(1_000);
    await it.clock.advance(1_000);
    await reset;
    expect(await code).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    expect(migrationOf(it).state).toBe("running");
  });

  it("leaves ERROR, and names the base, when the base cannot be reset", async () => {
    const it = await composed();
    it.base.fail.set("reset", new Error("no FLR"));
    await expect(it.device.reset()).rejects.toMatchObject({
      code: "ERR_VFMIG_DEVICE_RESET",
      layer: "base",
    });
    expect(migrationOf(it).state).toBe("error");
    it.base.fail.clear();
    await it.device.reset();
    expect(migrationOf(it).state).toBe("running");
  });

  it("resets the base even if the sub-driver's part throws, and says so", async () => {
    const prepare = (): void => {
      throw new Error("confused");
    };
    const it = await composed({ reset: { prepare, done: () => {} } });
    await expect(it.device.reset()).rejects.toMatchObject({ layer: "plugin:fake-nic" });
    expect(it.base.calls).toContain("reset");
    expect(migrationOf(it).state).toBe("error");
  });

  it("bounds a sub-driver that never finishes its part of the reset", async () => {
    const it = await composed({ reset: { prepare() {}, done: never } });
    const reset = codeOf(it.device.reset());
    await it.clock.advance(10_000);
    expect(await reset).toBe("ERR_VFMIG_DEVICE_RESET");
  });

  it("calls the sub-driver before and after the base", async () => {
    const order: string[] = [];
    const it = await composed({
      reset: {
        prepare: () => void order.push(`before ${it.base.calls.includes("reset")}`),
        done: () => void order.push(`after ${it.base.calls.includes("reset")}`),
      },
    });
    await it.device.reset();
    expect(order).toEqual(["before false", "after true"]);
  });
});

describe("without migration", () => {
  it("offers none, and still resets", async () => {
    const it = await composed({ migrates: false });
    expect(it.device.migration).toBeUndefined();
    await it.device.reset();
    expect(it.base.calls).toContain("reset");
  });
});

it("knows which states share a saving session", () => {
  expect(STATES.filter(isSaving).toSorted()).toEqual(["pre-copy", "pre-copy-p2p", "stop-copy"]);
});
