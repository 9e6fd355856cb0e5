import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { codeOf, composed, migrationOf, readAll, type Composed } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { settle } from "../testing/fake-clock.ts";
import { hasState, requiredArcs } from "./next-state.ts";
import { MIGRATION_STATE, type MigrationState } from "./states.ts";

const isState = (name: string): name is MigrationState => Object.hasOwn(MIGRATION_STATE, name);
const ALL = { p2p: true, preCopy: true };
const STATES = Object.keys(MIGRATION_STATE)
  .filter(isState)
  .filter((state) => hasState(state, ALL));

const never = (): Promise<never> => Promise.withResolvers<never>().promise;

/** A base whose resets take a turn, and that notes what goes on beside them. */
class WatchingBase extends FakeBase {
  arcs = 0;
  resets = 0;
  overlaps = 0;

  override async reset(): Promise<void> {
    this.overlaps += this.arcs;
    this.resets += 1;
    await settle();
    await super.reset();
    this.resets -= 1;
  }
}

interface Slow extends Composed {
  readonly base: WatchingBase;
}

/** Arcs that take some turns of the event loop, so that others come in between. */
async function slow(turns: () => number): Promise<Slow> {
  const base = new WatchingBase();
  const it = await composed({}, {}, base);
  for (const arc of requiredArcs(ALL)) {
    it.sub.duties.set(arc, async (signal) => {
      base.arcs += 1;
      base.overlaps += base.resets;
      for (let n = turns(); n > 0 && !signal.aborted; n--) await settle();
      // What was given up comes to rest a turn later.
      if (signal.aborted) await settle();
      base.arcs -= 1;
    });
  }
  return { ...it, base };
}

/** State changes that were asked for, and how they ended. */
class Changes {
  readonly #pending = new Set<Promise<string>>();
  /** Those that waited behind another when a reset came. */
  readonly voided: Promise<string>[] = [];
  readonly all: Promise<string>[] = [];

  add(change: Promise<void>): void {
    const code = codeOf(change).finally(() => this.#pending.delete(code));
    this.#pending.add(code);
    this.all.push(code);
  }

  reset(): void {
    this.voided.push(...[...this.#pending].slice(1));
  }
}

/** The stream of a device that is equal to every other here. */
async function stream(): Promise<Uint8Array> {
  const it = await composed();
  await migrationOf(it).setState("stop-copy");
  return readAll(it);
}

describe("a reset", () => {
  it("that comes at any moment between the requests of others leaves a device that works", async () => {
    const state = await stream();
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...STATES) },
      { weight: 2, arbitrary: fc.constant("reset" as const) },
      { weight: 3, arbitrary: fc.constantFrom("read" as const, "write" as const) },
      { weight: 4, arbitrary: fc.constant("turn" as const) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 24 }),
        fc.array(fc.nat(4), { minLength: 1, maxLength: 8 }),
        async (steps, lengths) => {
          let n = 0;
          const it = await slow(() => lengths[n++ % lengths.length] ?? 0);
          const migration = migrationOf(it);
          const changes = new Changes();
          const others: Promise<string>[] = [];
          const reset = (): Promise<void> => {
            changes.reset();
            return it.device.reset();
          };
          for (const each of steps) {
            if (each === "turn") await settle();
            else if (each === "reset") others.push(codeOf(reset()));
            else if (each === "read") others.push(codeOf(migration.readData(new Uint8Array(64))));
            else if (each === "write") others.push(codeOf(migration.writeData(state.slice(0, 64))));
            else changes.add(migration.setState(each));
          }
          await reset();
          expect([migration.state, it.base.overlaps]).toEqual(["running", 0]);
          for (const code of await Promise.all([...changes.all, ...others])) {
            expect(code).toMatch(/^(?:none|ERR_VFMIG_(?:MIGRATION|STATE)_[A-Z]+)$/u);
          }
          for (const code of await Promise.all(changes.voided)) {
            expect(code).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
          }
          expect(it.clock.waiting).toBe(0);
          await migration.setState("resuming");
          await migration.writeData(state);
          await migration.setState("stop-copy");
          expect((await readAll(it)).length).toBe(state.length);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("gives up a write that the sub-driver never takes, and the next session takes it", async () => {
    const it = await composed();
    const state = await stream();
    it.sub.onRecord = never;
    await migrationOf(it).setState("resuming");
    const write = codeOf(migrationOf(it).writeData(state));
    await settle();
    await it.device.reset();
    expect(await write).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    expect([migrationOf(it).state, it.clock.waiting]).toEqual(["running", 0]);
    it.sub.onRecord = () => {};
    await migrationOf(it).setState("resuming");
    await migrationOf(it).writeData(state);
    await migrationOf(it).setState("running");
    expect(it.sub.loaded).toHaveLength(1);
  });
});

describe("state and figures", () => {
  it("can be asked for at any moment of a walk, and are those of a state on its way", async () => {
    const walk = fc.array(fc.constantFrom(...STATES), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(walk, async (targets) => {
        const it = await slow(() => 2);
        const migration = migrationOf(it);
        for (const target of targets) {
          const arcs = it.sub.arcs.length;
          const seen = new Set<MigrationState>([migration.state]);
          const change = { over: false };
          const changed = codeOf(migration.setState(target)).finally(() => (change.over = true));
          while (!change.over) {
            seen.add(migration.state);
            expect(await migration.dataSize()).toBe(1000);
            const info = await codeOf(migration.precopyInfo());
            expect(info).toMatch(/^(?:none|ERR_VFMIG_MIGRATION_SESSION)$/u);
            await settle();
          }
          await changed;
          const path = it.sub.arcs.slice(arcs).flatMap((arc) => arc.split("->"));
          for (const state of seen) expect([...path, migration.state]).toContain(state);
          if (migration.state === "resuming") await it.device.reset();
        }
      }),
      { numRuns: 60 },
    );
  });
});
