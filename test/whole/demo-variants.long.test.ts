import { describe, expect, it } from "vitest";
import { type Demo, demo, vfmig } from "./rig/run-demo.ts";

describe("vfmig demo", () => {
  it.each([
    [
      "an E810 with mixed traffic, on rings of its own until it moves",
      ["--model", "e810", "--traffic", "mixed", "--shadow", "while-saving", "--queues", "8"],
    ],
    ["a plugin on another vfio-user server's device", ["--model", "chained"]],
  ])("moves %s", async (_what, words) => {
    const run = ["--repeat", "2", "--seed", "3", "--rate", "1000", "--json"];
    const { code, stdout } = await vfmig("demo", "--config", demo, ...run, ...words);
    const { moves, frames, flows } = JSON.parse(stdout) as Demo;
    expect(moves).toBe(2);
    expect(frames).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
    expect(frames["toGuest"]).toBeGreaterThan(300);
    for (const { sent, delivered, duringBlackout, duringSwitch, lost } of flows) {
      expect(sent).toBe(delivered + duringBlackout + duringSwitch + lost);
    }
    expect(code).toBe(0);
  });
});
