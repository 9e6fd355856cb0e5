import { PROGRESS, SLOT } from "@vfmig/shadow-queue";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRxCodec, createTxCodec, TX } from "./codecs.ts";

const DONE = 1;

function descriptor(...dwords: readonly number[]): DataView {
  const data = new DataView(new ArrayBuffer(16));
  for (const [at, dword] of dwords.entries()) data.setUint32(4 * at, dword, true);
  return data;
}

function dwords(data: DataView): number[] {
  return [0, 4, 8, 12].map((at) => data.getUint32(at, true));
}

const data = (command: number, status = 0): DataView =>
  descriptor(0x1000, 1, (TX.DATA | TX.DEXT | command) >>> 0, status);
const context = (index: number, mark: number): DataView =>
  descriptor(mark, 0, (TX.CONTEXT | TX.DEXT) >>> 0, index << 4);

describe("the transmit ring's format", () => {
  it("asks for a report at a packet's end, and tells the guest only where it asked", () => {
    const codec = createTxCodec();
    const to = descriptor();
    expect(codec.forward(data(100), 0, to, 0)).toBe(0);
    expect(codec.forward(data(100 | TX.EOP), 0, to, 0)).toBe(SLOT.LAST);
    expect(dwords(to)[2]).toBe((TX.DATA | TX.DEXT | TX.EOP | TX.RS | 100) >>> 0);
    expect(codec.forward(data(100 | TX.EOP | TX.RS), 0, to, 0)).toBe(SLOT.LAST | SLOT.REPORTED);
    expect(codec.address(to, 0)).toBe(0x1_0000_1000);
    expect(codec.length(to, 0)).toBe(100);
  });

  it("is done only when the device says so, never when the guest does", () => {
    const codec = createTxCodec();
    const to = descriptor();
    const slot = codec.forward(data(100 | TX.EOP, DONE), 0, to, 0);
    expect(codec.progress(to, 0, slot)).toBe(PROGRESS.PENDING);
    to.setUint32(12, DONE, true);
    expect(codec.progress(to, 0, slot)).toBe(PROGRESS.FRAME);
  });

  it("writes back what the guest wrote, with one bit more", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (status) => {
        const codec = createTxCodec();
        const guest = data(60 | TX.EOP | TX.RS, status);
        const before = dwords(guest);
        const to = descriptor();
        codec.forward(guest, 0, to, 0);
        to.setUint32(12, (to.getUint32(12, true) | DONE) >>> 0, true);
        codec.writeBack(to, 0, guest, 0);
        expect(dwords(guest)).toEqual([...before.slice(0, 3), (status | DONE) >>> 0]);
      }),
    );
  });

  it("remembers a context when the packets before it are done, and sends it again", () => {
    const codec = createTxCodec();
    const to = descriptor();
    for (const [index, mark] of [
      [0, 7],
      [1, 8],
      [0, 9],
    ] as const) {
      const slot = codec.forward(context(index, mark), 0, to, 0);
      expect(codec.length(to, 0)).toBe(0);
      expect(codec.progress(to, 0, slot)).toBe(PROGRESS.PART);
    }
    codec.forward(context(1, 99), 0, to, 0);
    const kept = codec.contexts();
    expect(kept.map((entry) => entry?.[0])).toEqual([9, 8]);
    const other = createTxCodec();
    other.load(kept);
    expect(other.own(to, 0, 1, 0)).toBe(0);
    expect(dwords(to)).toEqual(dwords(context(1, 8)));
  });

  it("sends a frame of ours as one descriptor that is reported", () => {
    const codec = createTxCodec();
    const to = descriptor();
    expect(codec.own(to, 0, 0x7_0000_0040, 60)).toBe(SLOT.LAST);
    const command = TX.DATA | TX.DEXT | TX.IFCS | TX.EOP | TX.RS | 60;
    expect(dwords(to)).toEqual([0x40, 7, command >>> 0, 60 << 14]);
  });
});

describe("the receive ring's format", () => {
  const codec = createRxCodec(2048);

  it("posts the buffer and nothing else", () => {
    const to = descriptor(9, 9, 9, 9);
    expect(codec.forward(descriptor(0x2000, 3, 0xffff_ffff, 5), 0, to, 0)).toBe(SLOT.REPORTED);
    expect(dwords(to)).toEqual([0x2000, 3, 0, 0]);
    expect(codec.length(to, 0)).toBe(2048);
  });

  it("tells waiting, a part and a whole frame apart, and how much was written", () => {
    expect(codec.progress(descriptor(0, 0, 0, 0), 0, 0)).toBe(PROGRESS.PENDING);
    expect(codec.progress(descriptor(0, 0, 1, 0), 0, 0)).toBe(PROGRESS.PART);
    expect(codec.progress(descriptor(0, 0, 3, 0), 0, 0)).toBe(PROGRESS.FRAME);
    expect(codec.written(descriptor(0, 0, 3, 0xabcd_0123), 0)).toBe(0x123);
  });

  it("hands the whole write-back over", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 4, maxLength: 4 }), (words) => {
        const to = descriptor();
        codec.writeBack(descriptor(...words), 0, to, 0);
        expect(dwords(to)).toEqual(words);
      }),
    );
  });
});
