import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { message } from "../testing/raw-peer.ts";
import { FrameReader } from "./frame-reader.ts";

interface Got {
  readonly id: number;
  readonly payload: readonly number[];
  readonly fds: readonly number[];
}

/** Gives `bytes` to the reader as one read that brought `fds`; collects what it finds. */
function feed(reader: FrameReader, bytes: Uint8Array, fds: number[], got: Got[]): string {
  let at = 0;
  let result = "partial";
  while (at < bytes.length || fds.length > 0) {
    reader.makeRoom();
    const piece = bytes.subarray(at, at + reader.room);
    reader.bytes.set(piece, reader.writeOffset);
    reader.commit(piece.length, at + piece.length >= bytes.length ? fds : []);
    at += piece.length;
    while ((result = reader.next()) === "message") {
      const { message: found } = reader;
      got.push({ id: found.id, payload: [...found.payload()], fds: found.fds.splice(0) });
    }
    if (result === "broken") break;
  }
  return result;
}

function open(maxMessageBytes = 100_000, initialBytes = 64): FrameReader {
  return new FrameReader({ maxMessageBytes, maxFds: 4, initialBytes });
}

describe("FrameReader", () => {
  it("gives the same messages however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 200 })),
        (payloads, cuts) => {
          const stream = Uint8Array.from(
            payloads.flatMap((payload, id) => [...message(id, 9, payload)]),
          );
          const reader = open();
          const got: Got[] = [];
          for (let at = 0; at < stream.length;) {
            const length = cuts.next().value ?? 1;
            feed(reader, stream.subarray(at, at + length), [], got);
            at += length;
          }
          expect(got).toEqual(payloads.map((p, id) => ({ id, payload: [...p], fds: [] })));
        },
      ),
    );
  });

  it("finds three messages cut at every byte", () => {
    const stream = Uint8Array.from([
      ...message(1, 9, Uint8Array.of(1)),
      ...message(2, 9),
      ...message(3, 9, Uint8Array.of(3, 3, 3)),
    ]);
    for (let cut = 1; cut < stream.length; cut += 1) {
      const reader = open();
      const got: Got[] = [];
      feed(reader, stream.subarray(0, cut), [], got);
      feed(reader, stream.subarray(cut), [], got);
      expect(got.map((each) => each.id)).toEqual([1, 2, 3]);
    }
  });

  it("gives fds to the last message that begins in the bytes they came with", () => {
    const reader = open();
    const got: Got[] = [];
    const [a, b, c] = [message(1, 9, Uint8Array.of(7)), message(2, 9), message(3, 9)];
    feed(reader, Uint8Array.from([...a, ...b]), [11, 12], got);
    feed(reader, c, [13], got);
    expect(got.map((each) => each.fds)).toEqual([[], [11, 12], [13]]);
  });

  it("gives fds that came with the first piece of a large message to that message", () => {
    const reader = open();
    const got: Got[] = [];
    const small = message(1, 9);
    const large = message(2, 9, new Uint8Array(5000));
    feed(reader, Uint8Array.from([...small, ...large.subarray(0, 900)]), [5], got);
    feed(reader, large.subarray(900), [], got);
    expect(got.map((each) => each.fds)).toEqual([[], [5]]);
  });

  it("gives fds to a message of which only the first byte has come", () => {
    const reader = open();
    const got: Got[] = [];
    const second = message(2, 9);
    feed(reader, Uint8Array.from([...message(1, 9), ...second.subarray(0, 1)]), [5], got);
    feed(reader, second.subarray(1), [], got);
    expect(got.map((each) => each.fds)).toEqual([[], [5]]);
  });

  it("keeps fds that come in the middle of a message with that message", () => {
    const reader = open();
    const got: Got[] = [];
    const bytes = message(1, 9, new Uint8Array(100));
    feed(reader, bytes.subarray(0, 50), [], got);
    feed(reader, bytes.subarray(50), [8], got);
    expect(got.map((each) => each.fds)).toEqual([[8]]);
  });

  it.each([0, 15, 100_001, 0xffff_ffff])("ends at a message size of %i", (size) => {
    const bytes = message(1, 9);
    new DataView(bytes.buffer).setUint32(4, size, true);
    const reader = open();
    expect(feed(reader, bytes, [], [])).toBe("broken");
    expect(reader.problem).toContain(String(size));
    expect(reader.bytes.length).toBeLessThanOrEqual(100_000);
  });

  it("allocates nothing for a claimed size before the whole header has come", () => {
    const bytes = message(1, 9);
    new DataView(bytes.buffer).setUint32(4, 0xffff_fff0, true);
    const reader = open();
    feed(reader, bytes.subarray(0, 12), [], []);
    reader.makeRoom();
    expect(reader.bytes.length).toBe(64);
  });

  it("ends where one message brings more fds than allowed, and gives them back for closing", () => {
    const reader = open();
    const got: Got[] = [];
    const bytes = message(1, 9, new Uint8Array(100));
    feed(reader, bytes.subarray(0, 50), [1, 2, 3], got);
    expect(feed(reader, bytes.subarray(50, 60), [4, 5], got)).toBe("broken");
    expect(reader.drainFds()).toEqual([1, 2, 3, 4, 5]);
  });
});
