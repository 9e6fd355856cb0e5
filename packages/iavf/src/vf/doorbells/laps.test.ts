import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RX_DESCRIPTOR_SIZE, writeRxPosted } from "../../descriptors/rx.ts";
import type { RingFacts } from "../shadow/infer.ts";
import { inferRx, inferTx } from "../shadow/infer.ts";
import { BASE, BUFFERS, LENGTH, RX, RxRing, TxRing } from "../testing/rings.ts";
import { type LapPair, noteTxLap, rxLapWillShow, txLapWillShow } from "./laps.ts";

const JUMBO = { ...RX, maxPacket: 9000 };
const TX = { base: BASE, length: LENGTH };

const txStep = fc.oneof(
  fc.record({ kind: fc.constantFrom("send", "prepare"), n: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant("work"), n: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant("reap"), n: fc.constant(0) }),
);
const rxStep = fc.record({
  kind: fc.constantFrom("receive", "part", "poll"),
  n: fc.integer({ min: 1, max: 70 }),
});
const steps = <T>(step: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(step, { maxLength: 80 });

function pairWith(lapped: boolean | undefined): LapPair {
  const half = (): LapPair["half"]["tx"] => ({ mode: "direct", lapped });
  return { config: { tx: TX, rx: JUMBO }, half: { tx: half(), rx: half() } };
}

function txDo(ring: TxRing, kind: string, n: number): void {
  if (kind === "send") ring.send(n);
  else if (kind === "prepare") ring.prepare(n);
  else if (kind === "work") ring.work(n);
  else ring.reap();
}

function rxDo(ring: RxRing, kind: string, n: number): void {
  if (kind === "poll") ring.poll(n);
  else ring.receive(n, kind === "receive");
}

describe("a Tx ring whose tails nobody saw for a while", () => {
  test("tells afterwards where the device stands, if it was looked at before", () => {
    let looked = 0;
    fc.assert(
      fc.property(
        steps(txStep),
        fc.boolean(),
        steps(txStep),
        fc.boolean(),
        (before, again, unseen, knew) => {
          const ring = new TxRing();
          for (const { kind, n } of before) txDo(ring, kind, n);
          if (again) {
            // Another life on a ring that nobody has cleared.
            ring.restart();
          }
          const pair = pairWith(knew ? ring.lapped : undefined);
          if (!txLapWillShow(ring.memory, pair, ring.tail)) return;
          looked++;
          for (const { kind, n } of unseen) txDo(ring, kind, n);
          noteTxLap(ring.memory, pair);
          const place = inferTx(ring.memory, TX, { tail: ring.tail, lapped: pair.half.tx.lapped });
          // A ring in which nothing was ever reported may be doubtful, never wrong.
          if (place.doubt === undefined) expect(place.slot).toBe(ring.head);
          else expect(ring.head).toBe(0);
        },
      ),
      { numRuns: 1000 },
    );
    expect(looked).toBeGreaterThan(250);
  });

  test("that was never used, used for the first time or used no more is no doubtful one", () => {
    const ring = new TxRing();
    const pair = pairWith(false);
    const look = (): ReturnType<typeof inferTx> => {
      expect(txLapWillShow(ring.memory, pair, ring.tail)).toBe(true);
      noteTxLap(ring.memory, pair);
      return inferTx(ring.memory, TX, { tail: ring.tail, lapped: pair.half.tx.lapped });
    };
    expect(look()).toEqual({ slot: 0 });
    expect(pair.half.tx.lapped).toBe(false);
    for (const frames of [3, 4, 60]) {
      for (let n = 0; n < frames; n++) {
        ring.send(1);
        ring.work(1);
        ring.reap();
      }
      expect(look()).toEqual({ slot: ring.head });
    }
    expect(pair.half.tx.lapped).toBe(true);
  });

  test("that was never used is known to be lapped by its last slot", () => {
    const ring = new TxRing();
    const pair = pairWith(false);
    expect(txLapWillShow(ring.memory, pair, ring.tail)).toBe(true);
    for (let n = 0; n < 60; n++) {
      ring.send(1);
      ring.work(1);
      ring.reap();
    }
    noteTxLap(ring.memory, pair);
    expect(pair.half.tx.lapped).toBe(false);
    // What waits lies on both sides of the ring's end.
    ring.send(3);
    ring.send(3);
    noteTxLap(ring.memory, pair);
    const facts = { tail: ring.tail, lapped: pair.half.tx.lapped };
    expect([ring.tail, inferTx(ring.memory, TX, facts)]).toEqual([2, { slot: 60 }]);
  });

  test("has to be lapped first where another life has left its end used and the place open", () => {
    const ring = new TxRing();
    for (let n = 0; n < 70; n++) {
      ring.send(1);
      ring.work(1);
      ring.reap();
    }
    ring.send(58);
    ring.restart();
    const pair = pairWith(false);
    expect(txLapWillShow(ring.memory, pair, ring.tail)).toBe(false);
  });
});

describe("an Rx ring whose tails nobody saw for a while", () => {
  test.each([
    ["that reads back as it was written", ~0],
    ["of which the device drops the low bits", ~7],
  ])("tells where the device stands, by a tail %s", (_, mask) => {
    let looked = 0;
    fc.assert(
      fc.property(
        steps(rxStep),
        steps(rxStep),
        fc.nat(40),
        fc.boolean(),
        (before, unseen, early, knew) => {
          const ring = new RxRing();
          for (const { kind, n } of before) rxDo(ring, kind, n);
          const pair = pairWith(knew ? ring.lapped : undefined);
          if (!rxLapWillShow(ring.memory, pair, ring.tail)) {
            // Nothing is done, and nobody knows whether it never was or was all taken.
            expect(knew).toBe(false);
            return;
          }
          looked++;
          for (const { kind, n } of unseen) rxDo(ring, kind, n);
          const tail = ring.tail & mask;
          // A guest posts slots before it says so by its tail.
          ring.poll(early);
          const facts: RingFacts = { tail, rounded: (tail & 7) === 0, lapped: pair.half.rx.lapped };
          const place = inferRx(ring.memory, JUMBO, facts);
          expect({ slot: place.slot, doubt: place.doubt }).toEqual({ slot: ring.head });
          expect(place.half || !ring.open).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
    expect(looked).toBeGreaterThan(250);
  });

  test("is doubtful where it is full, the tail is rounded, and no slot says that it has no buffer", () => {
    const ring = new RxRing();
    // What the device wrote back into the slot at the tail looks like a buffer of the guest.
    for (let slot = 0; slot < LENGTH; slot++) {
      writeRxPosted(ring.data, slot * RX_DESCRIPTOR_SIZE, BUFFERS);
    }
    expect(inferRx(ring.memory, RX, { tail: 19, lapped: true })).toEqual({ slot: 20, half: false });
    const rounded = { tail: 16, rounded: true };
    const { doubt } = inferRx(ring.memory, RX, { ...rounded, lapped: true });
    expect(doubt).toMatch(/last posted/u);
    expect(inferRx(ring.memory, RX, { ...rounded, lapped: undefined }).doubt).toBe(doubt);
    // Address 0 is no buffer, also where the guest has memory there.
    writeRxPosted(ring.data, 19 * RX_DESCRIPTOR_SIZE, 0);
    expect(inferRx(ring.memory, RX, { ...rounded, lapped: true }).slot).toBe(20);
  });
});
