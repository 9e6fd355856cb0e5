import { expect, test } from "vitest";
import { AdaptiveReceiver } from "./adaptive-receiver.ts";
import { createFakeIo } from "./fake/index.ts";

/** What a peer does: messages come `afterMs` after they are looked for, or only when the CPU is given up. */
interface Peer {
  afterMs: number;
  needsCpu: boolean;
  /** How long a yield takes. */
  yieldMs: number;
}

const LOOK_MS = 0.001;

function rig(peer: Peer): {
  receiver: AdaptiveReceiver;
  readonly turn: (gapMs: number) => number;
  readonly looks: () => number;
  readonly yields: () => number;
} {
  let now = 1000;
  let due = Infinity;
  let looks = 0;
  let yields = 0;
  const io = {
    ...createFakeIo(),
    yieldCpu: () => {
      yields += 1;
      now += peer.yieldMs;
      if (peer.needsCpu) due = now;
    },
    receive: () => {
      looks += 1;
      now += LOOK_MS;
      return now >= due ? 32 : -1;
    },
  };
  const receiver = new AdaptiveReceiver(io, () => now);
  const into = new Uint8Array(64);
  return {
    receiver,
    looks: () => looks,
    yields: () => yields,
    /** A message comes through the event loop; then whatever comes by waiting. Returns how many did. */
    turn(gapMs) {
      now += gapMs;
      receiver.turnBegins();
      let got = 0;
      for (;;) {
        due = peer.needsCpu ? Infinity : now + peer.afterMs;
        if (receiver.receive(3, into, 0, 64, []) < 0) break;
        got += 1;
      }
      receiver.turnEnds();
      return got;
    },
  };
}

test("a client that asks now and then is never waited for", () => {
  const { turn, looks } = rig({ afterMs: 0.005, needsCpu: false, yieldMs: 0 });
  for (let i = 0; i < 1000; i += 1) turn(1);
  expect(looks()).toBe(0);
});

test("a streak of prompt requests is followed by waits, and the loop has its turn within 0.6 ms", () => {
  const { turn, looks } = rig({ afterMs: 0.005, needsCpu: false, yieldMs: 0 });
  const got = [0, 0, 0, 0, 0].map(() => turn(0.05));
  expect(got.slice(0, 3)).toEqual([0, 0, 0]);
  expect(got[4]).toBeGreaterThan(50);
  expect(got[4]).toBeLessThan(125);
  expect(looks()).toBeGreaterThan(0);
});

test("a client on the same CPU is given that CPU, by one yield for each request", () => {
  const { turn, yields, looks } = rig({ afterMs: 0, needsCpu: true, yieldMs: 0.005 });
  let got = 0;
  for (let i = 0; i < 10; i += 1) got += turn(0.02);
  expect(got).toBeGreaterThan(400);
  expect(yields()).toBeLessThan(got * 1.1);
  expect(looks()).toBeLessThan(got * 1.1);
});

test("a client that has a CPU of its own is looked for with few yields", () => {
  const { turn, yields, looks } = rig({ afterMs: 0.011, needsCpu: false, yieldMs: 0.001 });
  for (let i = 0; i < 20; i += 1) turn(0.05);
  expect(yields()).toBeLessThan(looks() / 2);
});

test("waits that bring nothing become rare", () => {
  const { turn, looks } = rig({ afterMs: 10, needsCpu: false, yieldMs: 0 });
  for (let i = 0; i < 10_000; i += 1) turn(0.1);
  // One wait in 64 turns, of 50 looks each.
  expect(looks()).toBeLessThan((10_000 / 64) * 60 + 1000);
});

test("an idle client costs one wait, of 50 us", () => {
  const peer = { afterMs: 0.005, needsCpu: false, yieldMs: 0 };
  const { turn, looks } = rig(peer);
  for (let i = 0; i < 10; i += 1) turn(0.05);
  const before = looks();
  peer.afterMs = Infinity;
  turn(0.05);
  for (let i = 0; i < 100; i += 1) turn(5);
  expect(looks() - before).toBeLessThan(60);
});

test("where yields give the CPU to a process that computes, they end", () => {
  const { turn, yields } = rig({ afterMs: 0, needsCpu: true, yieldMs: 3 });
  for (let i = 0; i < 100_000; i += 1) turn(0.02);
  expect(yields()).toBeLessThan(60);
});

test("they are tried again, and stay once they are quick", () => {
  const peer = { afterMs: 0, needsCpu: true, yieldMs: 3 };
  const { turn } = rig(peer);
  for (let i = 0; i < 5000; i += 1) turn(0.02);
  peer.yieldMs = 0.004;
  let got = 0;
  for (let i = 0; i < 20_000; i += 1) got += turn(0.02);
  expect(got).toBeGreaterThan(100_000);
});
