import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RX_DESCRIPTOR_SIZE, writeRxPosted } from "../../descriptors/rx.ts";
import { BASE, BUFFERS, BYTES, LENGTH, memoryOf, RX, RxRing, TxRing } from "../testing/rings.ts";
import { asksNoReport, inferRx, inferTx } from "./infer.ts";

const txStep = fc.oneof(
  fc.record({ kind: fc.constant("send"), n: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant("work"), n: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant("reap"), n: fc.constant(0) }),
);
const rxStep = fc.oneof(
  fc.record({ kind: fc.constantFrom("receive", "part"), n: fc.integer({ min: 1, max: 70 }) }),
  fc.record({ kind: fc.constant("poll"), n: fc.integer({ min: 1, max: 70 }) }),
);

describe("the place of a device in a Tx ring", () => {
  test("is behind what it last reported, at any index, full or empty", () => {
    fc.assert(
      fc.property(fc.array(txStep, { maxLength: 200 }), (steps) => {
        const ring = new TxRing();
        for (const { kind, n } of steps) {
          if (kind === "send") {
            ring.send(n);
          } else if (kind === "work") {
            ring.work(n);
          } else {
            ring.reap();
          }
          const { memory, tail, lapped } = ring;
          const place = inferTx(memory, { base: BASE, length: LENGTH }, { tail, lapped });
          expect(place).toEqual({ slot: ring.head });
          expect(asksNoReport(memory, { base: BASE, length: LENGTH })).toBe(false);
        }
      }),
    );
  });

  test("is doubtful once a frame in the ring asks for no report", () => {
    const ring = new TxRing();
    ring.send(2);
    ring.work(1);
    ring.send(1, false);
    ring.send(3);
    const facts = { tail: ring.tail, lapped: ring.lapped };
    expect(inferTx(ring.memory, { base: BASE, length: LENGTH }, facts).doubt).toMatch(/no report/u);
    ring.work(3);
    // Also after it went out: there is a single answer then, but the next time there may be none.
    expect(inferTx(ring.memory, { base: BASE, length: LENGTH }, facts)).toEqual({
      slot: ring.head,
    });
    expect(asksNoReport(ring.memory, { base: BASE, length: LENGTH })).toBe(true);
  });

  test.each([
    ["a tail beyond the ring", LENGTH, /beyond its 64 slots/u],
    ["a tail inside a frame", 2, /middle of a frame/u],
  ])("is doubtful with %s, and still a slot of the ring", (_, tail, doubt) => {
    const ring = new TxRing();
    ring.send(4);
    const place = inferTx(ring.memory, { base: BASE, length: LENGTH }, { tail, lapped: false });
    expect(place.doubt).toMatch(doubt);
    expect(place.slot).toBeLessThan(LENGTH);
  });

  test("is doubtful where memory is gone", () => {
    const nowhere = { base: BASE + BYTES, length: LENGTH };
    const { memory } = new TxRing();
    expect(inferTx(memory, nowhere, { tail: 3, lapped: false }).doubt).toMatch(/reached/u);
    expect(inferRx(memory, { ...RX, ...nowhere }, { tail: 9, lapped: true }).doubt).toMatch(
      /reached/u,
    );
  });
});

describe("the place of a device in an Rx ring", () => {
  test("is behind what it last filled, at any index, full or empty", () => {
    fc.assert(
      fc.property(fc.array(rxStep, { maxLength: 200 }), (steps) => {
        const ring = new RxRing();
        for (const { kind, n } of steps) {
          const told = { tail: ring.tail, lapped: ring.lapped };
          if (kind === "poll") {
            ring.poll(n);
          } else {
            ring.receive(n, kind === "receive");
          }
          const { memory, tail, lapped } = ring;
          const place = inferRx(memory, { ...RX, maxPacket: 9000 }, { tail, lapped });
          expect({ slot: place.slot, doubt: place.doubt }).toEqual({ slot: ring.head });
          // A guest posts slots before it says so by its tail.
          const early = inferRx(memory, { ...RX, maxPacket: 9000 }, told);
          expect({ slot: early.slot, doubt: early.doubt }).toEqual({ slot: ring.head });
          // A frame that the guest holds half of is never overlooked.
          expect(place.half || !ring.open).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("has no half frame where a frame always fits a buffer and the last one has ended", () => {
    const ring = new RxRing();
    ring.receive(20, true);
    ring.poll(20);
    const { memory, tail, lapped } = ring;
    expect(inferRx(memory, RX, { tail, lapped })).toEqual({ slot: 20, half: false });
  });

  test("is doubtful where nothing is done and the ring is not full either", () => {
    const ring = new RxRing();
    // A driver that clears what it takes, and posts later.
    for (let slot = 0; slot < LENGTH; slot++) {
      writeRxPosted(ring.data, slot * RX_DESCRIPTOR_SIZE, slot < 30 ? BUFFERS : 0);
    }
    const place = inferRx(ring.memory, RX, { tail: 30, lapped: true });
    expect(place.doubt).toMatch(/slots 30 and 31 hold no buffer/u);
    expect(place.slot).toBeLessThan(LENGTH);
  });

  test("is doubtful with a tail beyond the ring", () => {
    const { memory } = new RxRing();
    expect(inferRx(memory, RX, { tail: 64, lapped: true }).doubt).toMatch(/beyond/u);
  });

  test("is found in whatever a guest writes, as a slot of the ring", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 2048, maxLength: 2048 }),
        fc.nat(0x1fff),
        fc.boolean(),
        (bytes, tail, lapped) => {
          const whole = new Uint8Array(BYTES);
          whole.set(bytes);
          const memory = memoryOf(whole);
          for (const place of [
            inferRx(memory, RX, { tail, lapped }),
            inferTx(memory, { base: BASE, length: LENGTH }, { tail, lapped }),
          ]) {
            expect(place.slot).toBeGreaterThanOrEqual(0);
            expect(place.slot).toBeLessThan(LENGTH);
          }
        },
      ),
    );
  });
});
