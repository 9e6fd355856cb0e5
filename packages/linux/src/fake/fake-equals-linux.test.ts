import * as fc from "fast-check";
import { VfmigError } from "@vfmig/core";
import { expect, test } from "vitest";
import { createLinuxIo } from "../native/linux-io.ts";
import type { NativeIo } from "../native-io.ts";
import { createFakeIo } from "./fake-io.ts";

type Step =
  | { readonly do: "send"; readonly end: number; readonly length: number; readonly fds: number }
  | { readonly do: "receive"; readonly end: number; readonly length: number }
  | { readonly do: "shutdown" | "close" | "wait"; readonly end: number };

const end = fc.integer({ min: 0, max: 1 });
const length = fc.integer({ min: 1, max: 60 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("send" as const),
      end,
      length,
      fds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 })),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("receive" as const), end, length }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), end }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("shutdown" as const, "close" as const), end }),
  },
);

/** Runs the steps and returns all that a caller can see of them. */
function play(io: NativeIo, steps: readonly Step[]): unknown[] {
  const ends = io.socketPair();
  const event = io.eventfd();
  const open = [true, true];
  let next = 0;
  const seen: unknown[] = [];
  const buffer = new Uint8Array(64);

  function perform(each: Step): unknown {
    const fd = ends[each.end] ?? -1;
    switch (each.do) {
      case "send": {
        for (let at = 0; at < each.length; at++) buffer[at] = next++;
        return io.send(fd, buffer, 0, each.length, Array<number>(each.fds).fill(event));
      }
      case "receive": {
        const fds: number[] = [];
        const count = io.receive(fd, buffer, 0, each.length, fds);
        for (const received of fds) io.close(received);
        return [count, fds.length, [...buffer.subarray(0, Math.max(0, count))]];
      }
      case "wait":
        return [io.waitReadable(fd, 0), io.waitWritable(fd, 0)];
      case "shutdown":
        io.shutdown(fd);
        return "shut down";
      case "close":
        open[each.end] = false;
        io.close(fd);
        return "closed";
      default:
        throw new Error("no such step");
    }
  }

  for (const each of steps) {
    if (!open[each.end]) continue;
    try {
      seen.push(perform(each));
    } catch (error) {
      if (!VfmigError.is(error)) throw error;
      seen.push(error.details["errno"]);
    }
  }
  for (const side of [0, 1]) if (open[side]) io.close(ends[side] ?? -1);
  io.close(event);
  return seen;
}

test("a stream in memory shows what a stream of Linux shows, whatever is done to it", () => {
  const linux = createLinuxIo();
  const fake = createFakeIo();
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      expect(play(fake, steps)).toEqual(play(linux, steps));
      expect(fake.openFds).toBe(0);
    }),
    { numRuns: 400 },
  );
});
