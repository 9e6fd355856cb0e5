import { describe, expect, it } from "vitest";
import { codeOf, composed, migrationOf, readAll, type Composed } from "../testing/composed.ts";
import { settle } from "../testing/fake-clock.ts";
import type { StateRecord } from "../sub-driver/facets.ts";
import type { Arc, MigrationState } from "./states.ts";

const RECORDS: readonly StateRecord[] = [
  { type: "registers", value: { a: 1, b: 2 } },
  { type: "ring", value: { index: 511 } },
];

const never = (): Promise<never> => Promise.withResolvers<never>().promise;

async function savedState(): Promise<Uint8Array> {
  const source = await composed({ records: RECORDS });
  await migrationOf(source).setState("stop-copy");
  return readAll(source);
}

describe("a saving session", () => {
  it("carries the sub-driver's records to another device", async () => {
    const target = await composed();
    await migrationOf(target).setState("resuming");
    await migrationOf(target).writeData(await savedState());
    await migrationOf(target).setState("running");
    expect(target.sub.loaded).toEqual(RECORDS);
    expect(target.sub.calls.filter((call) => call === "commit")).toHaveLength(1);
  });

  it.each([1, 3, 7, 4096, 1 << 20])("gives the same bytes in reads of %i bytes", async (size) => {
    const source = await composed({ records: RECORDS });
    await migrationOf(source).setState("stop-copy");
    expect(Buffer.compare(await readAll(source, size), await savedState())).toBe(0);
  });

  it("takes the same bytes in any split", async () => {
    const state = await savedState();
    for (const size of [1, 5, 64]) {
      const target = await composed();
      await migrationOf(target).setState("resuming");
      for (let at = 0; at < state.length; at += size) {
        await migrationOf(target).writeData(state.subarray(at, at + size));
      }
      await migrationOf(target).setState("stop");
      expect(target.sub.loaded).toEqual(RECORDS);
    }
  });

  it("goes on from PRE_COPY into STOP_COPY as one stream", async () => {
    const early = [{ type: "ring", value: { index: 1 } }];
    const source = await composed({ records: RECORDS, precopyRecords: early });
    await migrationOf(source).setState("pre-copy");
    const before = await readAll(source);
    expect(before.length).toBeGreaterThan(0);
    await migrationOf(source).setState("pre-copy-p2p");
    expect(await readAll(source)).toHaveLength(0);
    await migrationOf(source).setState("stop-copy");
    const after = await readAll(source);
    const target = await composed();
    await migrationOf(target).setState("resuming");
    await migrationOf(target).writeData(Buffer.concat([before, after]));
    await migrationOf(target).setState("running");
    expect(target.sub.loaded).toEqual([...early, ...RECORDS]);
  });

  it("loses nothing when STOP_COPY comes before PRE_COPY was read", async () => {
    const early = [{ type: "ring", value: { index: 1 } }];
    const source = await composed({ records: RECORDS, precopyRecords: early });
    await migrationOf(source).setState("pre-copy");
    await migrationOf(source).setState("stop-copy");
    const target = await composed();
    await migrationOf(target).setState("resuming");
    await migrationOf(target).writeData(await readAll(source));
    await migrationOf(target).setState("running");
    expect(target.sub.loaded).toEqual([...early, ...RECORDS]);
  });

  it("is refused outside its states", async () => {
    const it = await composed();
    const read = (): Promise<string> => codeOf(migrationOf(it).readData(new Uint8Array(8)));
    const write = (): Promise<string> => codeOf(migrationOf(it).writeData(new Uint8Array(8)));
    for (const state of ["running", "running-p2p", "stop", "resuming"] as const) {
      await migrationOf(it).setState(state);
      expect(await read()).toBe("ERR_VFMIG_MIGRATION_SESSION");
    }
    await it.device.reset();
    for (const state of ["running", "running-p2p", "pre-copy", "stop-copy", "stop"] as const) {
      await migrationOf(it).setState(state);
      expect(await write()).toBe("ERR_VFMIG_MIGRATION_SESSION");
    }
  });

  it("ends when its states are left, also for a read that waits", async () => {
    const stuck = { [Symbol.asyncIterator]: () => ({ next: never }) };
    const source = await composed({ ops: { save: () => stuck } });
    await migrationOf(source).setState("stop-copy");
    const read = codeOf(migrationOf(source).readData(new Uint8Array(1 << 16)));
    await settle();
    await migrationOf(source).setState("stop");
    expect(await read).toBe("ERR_VFMIG_MIGRATION_SESSION");
  });

  it("gives a waiting read up at a reset", async () => {
    const source = await composed({
      ops: { save: () => ({ [Symbol.asyncIterator]: () => ({ next: never }) }) },
    });
    await migrationOf(source).setState("stop-copy");
    const read = codeOf(migrationOf(source).readData(new Uint8Array(1 << 16)));
    await settle();
    await source.device.reset();
    expect(await read).toBe("ERR_VFMIG_MIGRATION_CANCELLED");
    expect(source.clock.waiting).toBe(0);
  });

  it("bounds a sub-driver that never gives its next record", async () => {
    const source = await composed({
      ops: { save: () => ({ [Symbol.asyncIterator]: () => ({ next: never }) }) },
    });
    await migrationOf(source).setState("stop-copy");
    const read = migrationOf(source).readData(new Uint8Array(1 << 16));
    const [settled] = await Promise.all([Promise.allSettled([read]), source.clock.advance(10_000)]);
    expect(settled[0]).toMatchObject({
      reason: { code: "ERR_VFMIG_SUB_DRIVER_TIMEOUT", layer: "plugin:fake-nic" },
    });
    expect(migrationOf(source).state).toBe("stop-copy");
    await migrationOf(source).setState("running");
  });

  it("names a sub-driver that throws while it saves, and stays failed", async () => {
    const source = await composed({
      ops: {
        *save() {
          yield { type: "registers", value: { a: 1 } };
          throw new Error("lost the PF");
        },
      },
    });
    await migrationOf(source).setState("stop-copy");
    await expect(readAll(source)).rejects.toMatchObject({ layer: "plugin:fake-nic" });
    await expect(readAll(source)).rejects.toMatchObject({ code: "ERR_VFMIG_STATE_POISONED" });
    await migrationOf(source).setState("running");
    expect(migrationOf(source).state).toBe("running");
  });

  it.each([undefined, null, 7, { value: 1 }, { type: "unknown", value: 1 }])(
    "refuses %o as a record",
    async (record) => {
      // @ts-expect-error a sub-driver in JavaScript may answer anything
      const source = await composed({ records: [record] });
      await migrationOf(source).setState("stop-copy");
      await expect(readAll(source)).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_VFMIG_/u),
      });
    },
  );

  it("ends the sub-driver's iterator when nobody reads on", async () => {
    let ended = false;
    function* records(): Generator<StateRecord> {
      try {
        for (;;) yield { type: "registers", value: { a: 1 } };
      } finally {
        ended = true;
      }
    }
    const source = await composed({ ops: { save: records } });
    await migrationOf(source).setState("stop-copy");
    await migrationOf(source).readData(new Uint8Array(4096));
    await migrationOf(source).setState("stop");
    await settle();
    expect(ended).toBe(true);
  });
});

describe("pre-copy figures", () => {
  it("exist only while pre-copying", async () => {
    const it = await composed();
    const info = (): Promise<string> => codeOf(migrationOf(it).precopyInfo());
    expect(await info()).toBe("ERR_VFMIG_MIGRATION_SESSION");
    await migrationOf(it).setState("pre-copy");
    expect(await info()).toBe("none");
    await migrationOf(it).setState("stop-copy");
    expect(await info()).toBe("ERR_VFMIG_MIGRATION_SESSION");
  });

  it("start above 0, only fall, and start over for a new session", async () => {
    let initialBytes = 500;
    const it = await composed({
      ops: { precopyInfo: () => ({ initialBytes, dirtyBytes: 3, reinit: false }) },
    });
    const figure = async (): Promise<number> => (await migrationOf(it).precopyInfo()).initialBytes;
    await migrationOf(it).setState("pre-copy");
    expect(await figure()).toBe(500);
    initialBytes = 0;
    expect(await figure()).toBe(1);
    await readAll(it);
    expect(await figure()).toBe(0);
    initialBytes = 700;
    expect(await figure()).toBe(0);
    await migrationOf(it).setState("running");
    await migrationOf(it).setState("pre-copy");
    expect(await figure()).toBe(700);
  });

  it.each([undefined, {}, { initialBytes: -1, dirtyBytes: 0, reinit: false }])(
    "refuse %o",
    async (answer) => {
      // @ts-expect-error a sub-driver in JavaScript may answer anything
      const it = await composed({ ops: { precopyInfo: () => answer } });
      await migrationOf(it).setState("pre-copy");
      expect(await codeOf(migrationOf(it).precopyInfo())).toBe("ERR_VFMIG_SUB_DRIVER_ANSWER");
    },
  );
});

describe("the estimate of what is to come", () => {
  it("is there in every state", async () => {
    const it = await composed();
    for (const state of ["running", "stop", "resuming"] as const) {
      await migrationOf(it).setState(state);
      expect(await migrationOf(it).dataSize()).toBe(1000);
    }
  });

  it.each([Number.NaN, -1, Infinity, 0.5, "1"])("refuses %s", async (size) => {
    // @ts-expect-error a sub-driver in JavaScript may answer anything
    const it = await composed({ ops: { size: () => size } });
    expect(await codeOf(migrationOf(it).dataSize())).toBe("ERR_VFMIG_SUB_DRIVER_ANSWER");
  });
});

describe("a restoring session", () => {
  it("refuses a source that this device cannot take, at the first write", async () => {
    const target = await composed();
    target.sub.queues = 2;
    await migrationOf(target).setState("resuming");
    const header = (await savedState()).subarray(0, 1024);
    const write = migrationOf(target).writeData(header);
    await expect(write).rejects.toMatchObject({
      code: "ERR_VFMIG_MIGRATION_INCOMPATIBLE",
      message: expect.stringContaining("fewer queues here"),
    });
    expect(target.sub.loaded).toEqual([]);
    expect(target.sub.calls).toContain("abort");
  });

  it("stays failed after a rejected write, so that no commit follows", async () => {
    const target = await composed();
    const state = await savedState();
    target.sub.onRecord = () => {
      target.sub.onRecord = () => {};
      throw new Error("no such ring");
    };
    await migrationOf(target).setState("resuming");
    await expect(migrationOf(target).writeData(state)).rejects.toThrow("no such ring");
    expect(await codeOf(migrationOf(target).writeData(state))).toBe("ERR_VFMIG_MIGRATION_POISONED");
    const commit = codeOf(migrationOf(target).setState("running"));
    expect(await commit).toBe("ERR_VFMIG_MIGRATION_POISONED");
    expect(migrationOf(target).state).toBe("resuming");
    expect(target.sub.calls).not.toContain("commit");
    expect(target.sub.calls.filter((call) => call === "abort")).toHaveLength(1);
  });

  it("fails at the commit when the state was cut off anywhere", async () => {
    const state = await savedState();
    for (let length = 0; length < state.length; length += 97) {
      const target = await composed();
      await migrationOf(target).setState("resuming");
      await migrationOf(target).writeData(state.subarray(0, length));
      await expect(migrationOf(target).setState("stop")).rejects.toMatchObject({ layer: "core" });
      expect(migrationOf(target).state).toBe("resuming");
      expect(target.sub.calls).not.toContain("commit");
    }
  });

  it("refuses bytes after the end", async () => {
    const target = await composed();
    await migrationOf(target).setState("resuming");
    const write = migrationOf(target).writeData(Buffer.concat([await savedState(), Buffer.of(0)]));
    await expect(write).rejects.toMatchObject({ code: "ERR_VFMIG_STATE_TRAILING" });
  });

  it("keeps RESUMING when the commit throws, and does not commit twice", async () => {
    const target = await composed();
    target.sub.onCommit = () => Promise.reject(new Error("PF says no"));
    await migrationOf(target).setState("resuming");
    await migrationOf(target).writeData(await savedState());
    await expect(migrationOf(target).setState("stop")).rejects.toThrow("PF says no");
    expect(migrationOf(target).state).toBe("resuming");
    target.sub.onCommit = async () => {};
    const again = codeOf(migrationOf(target).setState("stop"));
    expect(await again).toBe("ERR_VFMIG_MIGRATION_POISONED");
  });

  it("goes to ERROR when the commit never settles", async () => {
    const target = await composed();
    target.sub.onCommit = never;
    await migrationOf(target).setState("resuming");
    await migrationOf(target).writeData(await savedState());
    const code = codeOf(migrationOf(target).setState("stop"));
    await target.clock.advance(30_000);
    expect(await code).toBe("ERR_VFMIG_MIGRATION_TIMEOUT");
    expect(migrationOf(target).state).toBe("error");
  });

  it("bounds a sub-driver that never takes a record", async () => {
    const target = await composed();
    target.sub.onRecord = never;
    await migrationOf(target).setState("resuming");
    const code = codeOf(migrationOf(target).writeData(await savedState()));
    await settle();
    await target.clock.advance(10_000);
    expect(await code).toBe("ERR_VFMIG_SUB_DRIVER_TIMEOUT");
  });

  it("waits for writes that are under way before it commits", async () => {
    const target = await composed();
    const gate = Promise.withResolvers<void>();
    target.sub.onRecord = () => gate.promise;
    await migrationOf(target).setState("resuming");
    const write = migrationOf(target).writeData(await savedState());
    const commit = migrationOf(target).setState("stop");
    await settle();
    expect(target.sub.calls).not.toContain("commit");
    gate.resolve();
    await Promise.all([write, commit]);
    expect(target.sub.loaded).toHaveLength(2);
  });

  it.each([undefined, {}, { record() {} }])("refuses %o as a loader", async (loader) => {
    // @ts-expect-error a sub-driver in JavaScript may answer anything
    const target = await composed({ ops: { load: () => loader } });
    const code = codeOf(migrationOf(target).setState("resuming"));
    expect(await code).toBe("ERR_VFMIG_SUB_DRIVER_ANSWER");
    expect(migrationOf(target).state).toBe("stop");
  });
});

it("moves a device to and fro a hundred times", async () => {
  let here = await composed({ records: RECORDS });
  let there = await composed({ records: RECORDS });
  for (let move = 0; move < 100; move++) {
    await migrationOf(there).setState("resuming");
    await migrationOf(here).setState(move % 2 === 0 ? "pre-copy" : "stop-copy");
    await migrationOf(here).setState("stop-copy");
    await migrationOf(there).writeData(await readAll(here));
    await migrationOf(there).setState("running");
    await migrationOf(here).setState("stop");
    expect(there.sub.loaded.splice(0)).toEqual(RECORDS);
    [here, there] = [there, here];
  }
  expect(here.clock.waiting + there.clock.waiting).toBe(0);
});

describe("an arc that was given up and ends late", () => {
  /** Lets `arc` hang until it times out, resets, and returns what ends it after all. */
  async function giveUp(it: Composed, arc: Arc, target: MigrationState): Promise<() => void> {
    const late = Promise.withResolvers<void>();
    it.sub.duties.set(arc, () => late.promise);
    const code = codeOf(migrationOf(it).setState(target));
    await it.clock.advance(30_000);
    expect(await code).toBe("ERR_VFMIG_MIGRATION_TIMEOUT");
    const reset = it.device.reset();
    await it.clock.advance(1_000);
    await reset;
    it.sub.duties.clear();
    return late.resolve;
  }

  it("does not replace a newer restoring session", async () => {
    const it = await composed();
    const state = await savedState();
    const end = await giveUp(it, "stop->resuming", "resuming");
    await migrationOf(it).setState("resuming");
    await migrationOf(it).writeData(state.subarray(0, 100));
    end();
    await settle();
    await migrationOf(it).writeData(state.subarray(100));
    await migrationOf(it).setState("running");
    expect(it.sub.loaded).toEqual(RECORDS);
  });

  it("does not end a newer restoring session", async () => {
    const it = await composed();
    const state = await savedState();
    await migrationOf(it).setState("resuming");
    await migrationOf(it).writeData(state);
    const end = await giveUp(it, "resuming->stop", "stop");
    await migrationOf(it).setState("resuming");
    end();
    await settle();
    await migrationOf(it).writeData(state);
    await migrationOf(it).setState("running");
    expect(it.sub.loaded).toEqual([...RECORDS, ...RECORDS]);
  });

  it("does not replace a newer saving session", async () => {
    const it = await composed({ records: RECORDS });
    const end = await giveUp(it, "stop->stop-copy", "stop-copy");
    await migrationOf(it).setState("stop-copy");
    const head = new Uint8Array(100);
    expect(await migrationOf(it).readData(head)).toBe(100);
    end();
    await settle();
    const whole = Buffer.concat([head, await readAll(it)]);
    expect(Buffer.compare(whole, await savedState())).toBe(0);
  });
});
