import { describe, expect, it } from "vitest";
import { composed } from "../testing/composed.ts";
import { FakeBase } from "../testing/fake-base.ts";
import { FakeSubDriver } from "../testing/fake-sub-driver.ts";
import { compose } from "./compose.ts";

describe("what a sub-driver changes after it was attached", () => {
  it("takes no arc away: each is done as it was given", async () => {
    const arcs: Record<string, unknown> = {};
    const { definition } = new FakeSubDriver({ p2p: false, preCopy: false });
    const done: string[] = [];
    const base = new FakeBase();
    const device = await compose(base, {
      ...definition,
      async attach(context) {
        const sub = await definition.attach(context);
        if (sub.migration === undefined) throw new Error("it has migration");
        for (const [arc, run] of Object.entries(sub.migration.arcs)) {
          arcs[arc] = (signal: AbortSignal) => {
            done.push(arc);
            return run(signal);
          };
        }
        return { ...sub, migration: { ...sub.migration, arcs } };
      },
    });
    for (const arc of Object.keys(arcs)) delete arcs[arc];
    arcs["stop->running"] = () => Promise.reject(new Error("not what was checked"));
    await device.migration?.setState("stop");
    await device.migration?.setState("running");
    expect(done).toEqual(["running->stop", "stop->running"]);
    await device[Symbol.asyncDispose]();
  });
});

describe("a device that is closed from inside an interrupt", () => {
  it("tells nobody any more, and closes once", async () => {
    const it = await composed();
    let told = 0;
    let closed: Promise<void> | undefined;
    it.sub.context?.interrupts.intercept(2, 0, () => {
      told += 1;
      closed = Promise.resolve(it.device[Symbol.asyncDispose]());
    });
    it.base.raise(2, 0);
    await closed;
    it.base.raise(2, 0);
    expect([told, it.base.disposed]).toEqual([1, true]);
    expect(it.base.calls.filter((call) => call === "dispose")).toHaveLength(1);
  });
});
