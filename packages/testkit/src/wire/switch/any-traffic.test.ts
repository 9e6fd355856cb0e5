import * as fc from "fast-check";
import { expect, test } from "vitest";
import { frameOf } from "../testing/frames.ts";
import { rig } from "../testing/learning-rig.ts";

const PORTS = 5;
const STATIONS = 8;
const port = fc.integer({ min: 0, max: PORTS - 1 });
const station = fc.integer({ min: 1, max: STATIONS });

type Step =
  | { readonly do: "frame"; readonly port: number; readonly from: number; readonly to: number }
  | { readonly do: "wait"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("frame" as const),
      port,
      from: station,
      to: fc.oneof(station, fc.constant(0xff)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 500, 999, 1000, 1500),
    }),
  },
);

test("whatever stations send, move and fall silent, each frame goes where the last words of its destination came from", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { clock, got, at } = rig(PORTS, { ageMs: 1000 });
      const last = new Map<number, { port: number; atMs: number }>();
      let mark = 0;
      for (const each of steps) {
        if (each.do === "wait") {
          clock.advance(each.ms);
          continue;
        }
        mark = (mark + 1) % 256;
        for (const marks of got) marks.splice(0);
        at(each.port).input(frameOf(each.to, each.from, mark));
        last.set(each.from, { port: each.port, atMs: clock.now() });
        const seen = last.get(each.to);
        const known = seen !== undefined && clock.now() - seen.atMs < 1000 ? seen.port : undefined;
        // Never twice, never back, and a known station's frames nowhere else.
        const expected = got.map((_, index) => {
          if (index === each.port) return [];
          return known === undefined || known === index ? [mark] : [];
        });
        expect(got).toEqual(expected);
      }
    }),
    { numRuns: 300 },
  );
});

test("any bytes leave a switch that still forwards", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(port, fc.uint8Array({ maxLength: 80 }))), (inputs) => {
      const { at, got, ethernet } = rig(PORTS);
      for (const [index, bytes] of inputs) at(index).input(bytes);
      for (const marks of got) marks.splice(0);
      at(0).input(frameOf(0xff, 99, 7));
      expect(got.map((marks) => [...marks])).toEqual([[], [7], [7], [7], [7]]);
      const { ports } = ethernet.report();
      const sum = (key: "received" | "malformed"): number =>
        ports.reduce((total, each) => total + each[key], 0);
      expect(sum("received") + sum("malformed")).toBe(inputs.length + 1);
    }),
  );
});
