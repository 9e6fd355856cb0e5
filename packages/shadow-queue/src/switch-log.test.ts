import type { Clock } from "@vfmig/core";
import { describe, expect, test } from "vitest";
import { SwitchLog } from "./switch-log.ts";

function rig(): { readonly log: SwitchLog; readonly pass: (ms: number) => void } {
  let now = 100;
  const clock: Clock = {
    now: () => now,
    after: () => ({ cancel() {} }),
    soon: () => ({ cancel() {} }),
  };
  return { log: new SwitchLog(clock), pass: (ms) => (now += ms) };
}

describe("the log of switch windows", () => {
  test("tells when a pair stood still and for how long, once it is over", () => {
    const { log, pass } = rig();
    const end = log.begin(3, "enter");
    pass(4);
    expect(log.windows).toEqual([]);
    end("done");
    pass(10);
    end("failed");
    expect(log.windows).toEqual([
      { n: 1, pair: 3, kind: "enter", startedAt: 100, ms: 4, outcome: "done" },
    ]);
    expect(log.totals).toEqual({
      enter: { count: 1, ms: 4, most: 4 },
      leave: { count: 0, ms: 0, most: 0 },
    });
  });

  test("keeps the last 256, and counts all", () => {
    const { log, pass } = rig();
    for (let n = 1; n <= 300; n++) {
      const end = log.begin(0, n % 2 === 0 ? "enter" : "leave");
      pass(n % 7);
      end("done");
    }
    expect(log.windows.length).toBe(256);
    expect(log.windows.at(0)?.n).toBe(45);
    expect(log.windows.at(-1)?.n).toBe(300);
    expect(log.totals.enter).toMatchObject({ count: 150, most: 6 });
  });
});
