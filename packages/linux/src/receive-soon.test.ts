import { expect, test } from "vitest";
import { createFakeIo } from "./fake/index.ts";
import type { NativeIo } from "./native-io.ts";
import { receiveSoon } from "./receive-soon.ts";

/** A fake whose reads are empty until the one that `at` numbers. */
function lateIo(at: number): { io: NativeIo; reads: () => number; waits: number[] } {
  let reads = 0;
  const waits: number[] = [];
  const io: NativeIo = {
    ...createFakeIo(),
    receive: () => (++reads >= at ? 5 : -1),
    waitReadable: (_fd, timeoutUs) => {
      waits.push(timeoutUs);
      return reads + 1 >= at;
    },
  };
  return { io, reads: () => reads, waits };
}

const into = new Uint8Array(8);

test("a message that comes within the empty reads is returned without sleeping", () => {
  const { io, waits } = lateIo(60);
  expect(receiveSoon(io, 3, into, 0, 8, [])).toBe(5);
  expect(waits).toEqual([]);
});

test("after 60 empty reads it sleeps for 100 us at most, and reads once more", () => {
  const { io, reads, waits } = lateIo(61);
  expect(receiveSoon(io, 3, into, 0, 8, [])).toBe(5);
  expect({ reads: reads(), waits }).toEqual({ reads: 61, waits: [100] });
});

test("a peer that stays silent gives the event loop back", () => {
  const { io, reads, waits } = lateIo(Number.POSITIVE_INFINITY);
  expect(receiveSoon(io, 3, into, 0, 8, [], { emptyReads: 4, waitUs: 7 })).toBe(-1);
  expect({ reads: reads(), waits }).toEqual({ reads: 4, waits: [7] });
});

test("without sleep it only reads", () => {
  const { io, reads, waits } = lateIo(Number.POSITIVE_INFINITY);
  expect(receiveSoon(io, 3, into, 0, 8, [], { emptyReads: 2, waitUs: 0 })).toBe(-1);
  expect({ reads: reads(), waits }).toEqual({ reads: 3, waits: [] });
});
