import { expect, test } from "vitest";
import { Announcement } from "./announcement.ts";

function buffer(bytes: number, freed: { count: number }) {
  const store = new Uint8Array(bytes).fill(0xaa);
  return {
    iova: 0x10_0000,
    bytes: store,
    data: new DataView(store.buffer),
    [Symbol.dispose]: () => void freed.count++,
  };
}

const mac = (first: number, last: number): Uint8Array => Uint8Array.of(first, 0, 0, 0, 0, last);

test("Each address is told by a RARP broadcast from it, of the shortest length", () => {
  const freed = { count: 0 };
  const memory = buffer(4096, freed);
  const announcement = new Announcement(() => memory);
  const [one, two, ...more] = announcement.prepare([mac(2, 1), mac(2, 2)]);
  expect(more).toEqual([]);
  expect([one?.length, two?.length]).toEqual([60, 60]);
  expect(two?.iova).not.toBe(one?.iova);
  const at = (two?.iova ?? 0) - memory.iova;
  const frame = Buffer.from(memory.bytes.subarray(at, at + 60)).toString("hex");
  // RFC 903: hardware type 1, protocol 0x0800, lengths 6 and 4, operation 3; sender and target hardware addresses.
  expect(frame).toBe(
    [
      "ffffffffffff0200000000028035",
      "0001080006040003",
      "02000000000200000000",
      "02000000000200000000",
      "00".repeat(18),
    ].join(""),
  );
  announcement.close();
  expect(freed.count).toBe(1);
});

test("Group addresses have no port, and more than 32 do not fit", () => {
  const announcement = new Announcement((bytes) => buffer(bytes, { count: 0 }));
  expect(announcement.prepare([mac(0x33, 1), mac(0x01, 2)])).toEqual([]);
  const many = Array.from({ length: 40 }, (_, n) => mac(2, n));
  const frames = announcement.prepare(many);
  expect(new Set(frames.map(({ iova }) => iova)).size).toBe(32);
  expect(frames.every(({ iova, length }) => iova + length <= 0x10_0000 + 32 * 64)).toBe(true);
});
