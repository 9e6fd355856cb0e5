import { expect, test } from "vitest";
import { FakeClock } from "../testing/fake-clock.ts";
import { pause, waitUntil } from "./wait.ts";

async function turn(clock: FakeClock, times: number, ms: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await clock.advance(ms);
  }
}

test("A wait ends as soon as it is done, and at its limit if it never is", async () => {
  const clock = new FakeClock();
  let looks = 0;
  const done = waitUntil(clock, () => ++looks === 30, 1000);
  await turn(clock, 60, 0.5);
  expect(await done).toBe(true);
  expect(looks).toBe(30);
  const never = waitUntil(clock, () => false, 10);
  await turn(clock, 60, 0.5);
  expect(await never).toBe(false);
  expect(clock.waiting).toBe(0);
});

test("A wait that is called off rejects with the reason, without another look", async () => {
  const clock = new FakeClock();
  const abort = new AbortController();
  let looks = 0;
  const waits = waitUntil(clock, () => (looks++, false), 1000, abort.signal);
  await turn(clock, 1, 0);
  const before = looks;
  abort.abort(new Error("no more"));
  const failed = waits.catch((error: unknown) => String(error));
  await turn(clock, 5, 1);
  expect(await failed).toContain("no more");
  expect(looks).toBe(before);
});

test("A pause takes its time, and none where there is none to take", async () => {
  const clock = new FakeClock();
  let over = false;
  const paused = pause(clock, 5).then(() => (over = true));
  await turn(clock, 4, 1);
  expect(over).toBe(false);
  await turn(clock, 1, 1);
  await paused;
  await pause(clock, 0);
  expect(clock.waiting).toBe(0);
});
