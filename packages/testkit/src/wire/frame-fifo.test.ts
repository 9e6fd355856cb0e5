import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FrameFifo } from "./frame-fifo.ts";

test("a FIFO gives back what it took, in order, and refuses only what cannot fit", () => {
  // Mostly lengths that fill the bytes exactly, where wrapped and unwrapped look alike.
  const length = fc.oneof(fc.constantFrom(10, 20, 30, 50), fc.integer({ min: 1, max: 100 }));
  const step = fc.oneof(length, fc.constant("shift" as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const fifo = new FrameFifo(100, 7);
      const model: number[][] = [];
      let next = 0;
      for (const each of steps) {
        if (each === "shift") {
          fifo.shift();
          model.shift();
        } else {
          const frame = new Uint8Array(each).fill(next++);
          const taken = fifo.push(frame);
          const used = model.reduce((sum, { length }) => sum + length, 0);
          if (model.length === 7 || used + each > 100) expect(taken).toBe(false);
          if (model.length === 0) expect(taken).toBe(true);
          if (taken) model.push([...frame]);
        }
        expect(fifo.count).toBe(model.length);
        if (model.length > 0) {
          const { headOffset: at, headLength } = fifo;
          expect([...fifo.bytes.subarray(at, at + headLength)]).toEqual(model[0]);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("a FIFO refuses a frame longer than itself", () => {
  const fifo = new FrameFifo(10, 4);
  expect(fifo.push(new Uint8Array(11))).toBe(false);
  expect(fifo.push(new Uint8Array(10))).toBe(true);
  expect(fifo.push(new Uint8Array(1))).toBe(false);
});
