import { describe, expect, it } from "vitest";
import { codeOf, composed, migrationOf, readAll, type Composed } from "../testing/composed.ts";
import { settle } from "../testing/fake-clock.ts";
import type { FakeSubDriverParts } from "../testing/fake-sub-driver.ts";
import type { MigrationState } from "./states.ts";

const RECORDS = Array.from({ length: 40 }, (_, index) => ({ type: "ring", value: { index } }));

async function saved(parts: FakeSubDriverParts = {}): Promise<Uint8Array> {
  const it = await composed({ records: RECORDS, ...parts });
  await migrationOf(it).setState("stop-copy");
  return readAll(it);
}

async function load(it: Composed, state: Uint8Array): Promise<void> {
  await migrationOf(it).setState("resuming");
  await migrationOf(it).writeData(state);
  await migrationOf(it).setState("running");
}

describe("a state that nobody changes", () => {
  it.each([
    "running",
    "running-p2p",
    "stop",
    "stop-copy",
    "resuming",
    "pre-copy",
    "pre-copy-p2p",
  ] satisfies MigrationState[])("stays %s, an hour later too", async (state) => {
    const it = await composed();
    await migrationOf(it).setState(state);
    await it.clock.advance(1000);
    expect(migrationOf(it).state).toBe(state);
    await it.clock.advance(3_600_000);
    expect([migrationOf(it).state, it.clock.waiting]).toEqual([state, 0]);
  });

  it("stays what it was when a session's data have come to their end", async () => {
    const it = await composed();
    for (const state of ["pre-copy", "stop-copy"] as const) {
      await migrationOf(it).setState(state);
      await readAll(it);
      await it.clock.advance(1000);
      expect(migrationOf(it).state).toBe(state);
    }
    const target = await composed();
    await migrationOf(target).setState("resuming");
    await migrationOf(target).writeData(await saved());
    await target.clock.advance(1000);
    expect(migrationOf(target).state).toBe("resuming");
  });
});

describe("one migration after another", () => {
  it("is judged anew: what a target cannot take is refused the third time, too", async () => {
    const target = await composed();
    const state = await saved();
    await load(target, state);
    await load(target, state);
    target.sub.queues = 2;
    expect(await codeOf(load(target, state))).toBe("ERR_VFMIG_MIGRATION_INCOMPATIBLE");
    await target.device.reset();
    target.sub.queues = 4;
    await load(target, state);
    expect(target.sub.calls.filter((call) => call === "commit")).toHaveLength(3);
  });

  it("may come from a plugin version that had neither pre-copy nor P2P", async () => {
    const target = await composed();
    await load(target, await saved({ p2p: false, preCopy: false }));
    expect(target.sub.loaded).toEqual(RECORDS);
  });
});

describe("users of one session at once", () => {
  it("read in the order in which they asked, and lose nothing between them", async () => {
    const whole = await saved();
    const it = await composed({ records: RECORDS });
    await migrationOf(it).setState("stop-copy");
    const pieces = Array.from({ length: Math.ceil(whole.length / 37) }, () => new Uint8Array(37));
    const counts = await Promise.all(pieces.map((piece) => migrationOf(it).readData(piece)));
    const read = Buffer.concat(pieces.map((piece, i) => piece.subarray(0, counts[i])));
    expect(Buffer.compare(read, whole)).toBe(0);
  });

  it("write in the order in which they asked, also while a record is being taken", async () => {
    const whole = await saved();
    const it = await composed();
    it.sub.onRecord = () => settle();
    await migrationOf(it).setState("resuming");
    const cut = [whole.subarray(0, 200), whole.subarray(200, 900), whole.subarray(900)];
    await Promise.all(cut.map((piece) => migrationOf(it).writeData(piece)));
    await migrationOf(it).setState("running");
    expect(it.sub.loaded).toEqual(RECORDS);
  });
});
