import { describe, expect, test } from "vitest";
import { createManualClock } from "./manual-clock.ts";

describe("a manual clock", () => {
  test("runs timers in order of time, and equal times in order of asking", () => {
    const clock = createManualClock();
    const ran: string[] = [];
    clock.after(10, () => ran.push("ten"));
    clock.after(5, () => ran.push(`five at ${clock.now()}`));
    clock.after(10, () => ran.push("ten again"));
    clock.advance(4);
    expect(ran).toEqual([]);
    clock.advance(6);
    expect(ran).toEqual(["five at 5", "ten", "ten again"]);
    expect(clock.now()).toBe(10);
  });

  test("runs what timers add, and soon work around them", () => {
    const clock = createManualClock();
    const ran: string[] = [];
    clock.soon(() => ran.push("soon"));
    clock.after(1, () => {
      clock.soon(() => ran.push("soon after one"));
      clock.after(1, () => ran.push("two"));
    });
    clock.advance(2);
    expect(ran).toEqual(["soon", "soon after one", "two"]);
    expect(clock.waiting).toBe(0);
  });

  test("does not run what was cancelled", () => {
    const clock = createManualClock();
    const fail = (): never => {
      throw new Error("ran");
    };
    clock.after(1, fail).cancel();
    clock.soon(fail).cancel();
    expect(clock.waiting).toBe(0);
    clock.advance(5);
  });

  test("stops at work that reschedules itself without end", () => {
    const clock = createManualClock();
    const again = (): void => void clock.soon(again);
    clock.soon(again);
    expect(() => clock.runSoon()).toThrow(/without end/u);
  });
});
