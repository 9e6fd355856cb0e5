import { expect, test } from "vitest";
import { message } from "../testing/raw-peer.ts";
import { FrameReader } from "../transport/frame-reader.ts";
import { SpareBuffer } from "./spare-buffer.ts";

const LARGE = 20_000;

/** A reader with the messages in its buffer, at the first of them. */
function readerOf(...messages: readonly Uint8Array[]): FrameReader {
  const reader = new FrameReader({ maxMessageBytes: 100_000, maxFds: 1 });
  feed(reader, ...messages);
  expect(reader.next()).toBe("message");
  return reader;
}

function feed(reader: FrameReader, ...messages: readonly Uint8Array[]): void {
  for (const each of messages) {
    reader.makeRoom();
    reader.bytes.set(each, reader.writeOffset);
    reader.commit(each.length, []);
  }
}

const filled = (byte: number, size = LARGE): Uint8Array =>
  message(byte, 18, new Uint8Array(size).fill(byte));

test("large data keep their buffer, and the reader goes on in another", () => {
  const reader = readerOf(filled(1));
  const before = reader.bytes;
  const data = new SpareBuffer().take(reader, 16, 16 + LARGE);
  expect(data.buffer).toBe(before.buffer);
  feed(reader, filled(2));
  expect(reader.next()).toBe("message");
  expect(reader.message.payload()[0]).toBe(2);
  expect(data.every((byte) => byte === 1)).toBe(true);
});

test("the buffer that was given back is used for the next", () => {
  const spare = new SpareBuffer();
  const reader = readerOf(filled(1));
  const first = spare.take(reader, 16, 16 + LARGE);
  spare.giveBack(first);
  feed(reader, filled(2));
  expect(reader.next()).toBe("message");
  const second = spare.take(reader, 16, 16 + LARGE);
  expect(reader.bytes.buffer).toBe(first.buffer);
  expect(second[0]).toBe(2);
});

test("with more messages behind them large data are copied, and nothing is lost", () => {
  const reader = readerOf(filled(1), filled(2));
  const data = new SpareBuffer().take(reader, 16, 16 + LARGE);
  expect(data.buffer).not.toBe(reader.bytes.buffer);
  expect(data.every((byte) => byte === 1)).toBe(true);
  expect(reader.next()).toBe("message");
  expect(reader.message.payload()[0]).toBe(2);
});

test("small data are copied", () => {
  const reader = readerOf(filled(1, 100));
  const data = new SpareBuffer().take(reader, 16, 116);
  expect(data.buffer).not.toBe(reader.bytes.buffer);
  expect(data).toEqual(new Uint8Array(100).fill(1));
});

test("fds behind an exchange still find their message", () => {
  const reader = new FrameReader({ maxMessageBytes: 100_000, maxFds: 1 });
  feed(reader, filled(1));
  expect(reader.next()).toBe("message");
  new SpareBuffer().take(reader, 16, 16 + LARGE);
  reader.makeRoom();
  const next = filled(2, 8);
  reader.bytes.set(next, reader.writeOffset);
  reader.commit(next.length, [7]);
  expect(reader.next()).toBe("message");
  expect(reader.message.fds).toEqual([7]);
});
