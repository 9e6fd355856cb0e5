import type { Clock } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { createManualClock } from "./manual-clock.ts";
import { settle } from "./settle.ts";

function passes(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

describe("a promise that is waited for by a manual clock", () => {
  test("moves the clock as far as it needs, however often it waits anew", async () => {
    const clock = createManualClock();
    const work = async (): Promise<string> => {
      await passes(clock, 3);
      await passes(clock, 0.5);
      return "done";
    };
    expect(await settle(clock, work())).toBe("done");
    expect(clock.now()).toBe(3.5);
  });

  test("leaves the clock alone where it needs no time, and gives on what it is rejected with", async () => {
    const clock = createManualClock();
    const work = async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn++) {
        // oxlint-disable-next-line no-await-in-loop -- promises that need no time
        await Promise.resolve();
      }
      throw new Error("in vain");
    };
    await expect(settle(clock, work())).rejects.toThrow("in vain");
    expect(clock.now()).toBe(0);
  });

  test("has something else go on in each of its turns, before the clock moves", async () => {
    const clock = createManualClock();
    const times: number[] = [];
    await settle(clock, passes(clock, 2), { stepMs: 1, onTurn: () => times.push(clock.now()) });
    expect(times).toEqual([0, 1]);
    expect(clock.now()).toBe(2);
  });

  test("is given up where it waits for what never comes", async () => {
    const clock = createManualClock();
    await expect(settle(clock, new Promise(() => {}))).rejects.toThrow(/100,000 turns/u);
    expect(clock.now()).toBe(25_000);
  });
});
